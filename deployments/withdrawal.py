"""What a withdrawal makes sure of before it is ordered, from a command or over HTTP."""

from __future__ import annotations

from deployments.standing import standing_limits
from policy.errors import ConfigError
from policy.plan import Plan, plan_of_nothing
from policy.settings import Settings
from storage import reading
from storage.database import Database
from storage.pauses import words_of_withdrawal
from tasks.sinks import PROD


def withdrawal(settings: Settings, *, by: str, reason: str, where: str | Database) -> Plan:
    """What goes once our limits are withdrawn.

    Args:
        settings: where they are published.
        by: who withdraws them.
        reason: why.
        where: the history.

    Raises:
        ConfigError: as things stand nothing is published, not even that; or the sink cannot be
            read.
        StorageError: the history cannot be reached.
    """
    if settings.mode != PROD and not reading.simulated(where):
        raise ConfigError(
            "the mode is dry-run, which writes nothing: set mode: prod to have our limits taken "
            "away"
        )
    if settings.publish.paused:
        raise ConfigError("publish.paused is true: set it to false to have our limits taken away")
    stands = standing_limits(settings, where=where)
    return plan_of_nothing(stands, reason=words_of_withdrawal(by, reason))
