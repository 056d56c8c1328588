"""How long demand has to hold to be what a tenant needs rather than an event."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from policy.settings import Settings

ONE_BUCKET: Final = timedelta(minutes=5)


def sustained_for(settings: Settings) -> timedelta:
    """An event is over after its detection window and its cool-down; without events, at once."""
    event = settings.event_spike
    return event.detection_window + event.cooldown_period if event.enabled else ONE_BUCKET
