"""`mlo pause` and `mlo resume`: the kill switch of everything that is published."""

from __future__ import annotations

from datetime import UTC, datetime

from deployments.commands.options import ConfigOption, say, settings_of
from deployments.commands.pins import ByOption, ForOption, ReasonOption, UntilOption, WhyOption
from deployments.pinning import ending, ends_at, forecast, login_name
from policy.errors import ConfigError
from policy.pinnable import spoken
from storage import pauses, reading


def pause(
    reason: ReasonOption,
    length: ForOption = None,
    until: UntilOption = None,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Publish nothing from now on; what is decided waits, what stands stays.

    Only a document that Mimir refused is still put back: a process that restarts would not start.
    """
    settings, now = settings_of(config), datetime.now(UTC)
    end = ends_at(length, until, now=now)
    pauses.pause(
        settings.storage.url,
        by=spoken(login_name() if by is None else by, of="--by"),
        reason=spoken(reason, of="the reason"),
        at=now,
        until=end,
        audit=settings.audit_log.enabled,
    )
    say(f"nothing is published {ending(end, '`mlo resume`')}")


def resume(
    reason: WhyOption = None,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Publish again, also what `mlo withdraw` took away."""
    settings = settings_of(config)
    url = settings.storage.url
    if reading.pause(url) is None and reading.withdrawal(url) is None:
        raise ConfigError(
            "neither `mlo pause` nor `mlo withdraw` was said, or it has ended; publish.paused is a "
            "setting"
        )
    pauses.resume(
        url,
        by=spoken(login_name() if by is None else by, of="--by"),
        reason=None if reason is None else spoken(reason, of="the reason"),
        at=datetime.now(UTC),
        audit=settings.audit_log.enabled,
    )
    say("what waits is published again")
    say(forecast(settings))
