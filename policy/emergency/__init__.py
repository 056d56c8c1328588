"""What is done when Mimir itself is in danger: levels, actions, and the way back.

    readings   what each process uses of what it may, at one look
    rules      from which reading, held for how long, which level follows, and what it does
    crashes    which processes crashed rather than being rolled or scaled
    state      what is remembered from look to look, also across a restart
    machine    one look further: the next state and what happened
    squeeze    when what everybody usually needs is too much
    recovery   when it is over, and how the limits come back
    needs      what each tenant usually needs of each limit
    caps       what the state means for each limit of each tenant
    words      all of it for people

Everything here is pure: the same state and the same look give the same.
"""
