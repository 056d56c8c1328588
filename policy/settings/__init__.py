"""What an operator may set, and what becomes of it. Reading files is the business of tasks."""

from policy.settings.durations import format_duration, parse_duration
from policy.settings.parsing import Problem, SettingsError, parse_settings
from policy.settings.root import Settings

__all__ = [
    "Problem",
    "Settings",
    "SettingsError",
    "format_duration",
    "parse_duration",
    "parse_settings",
]
