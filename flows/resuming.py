"""What the process before this one had told and not ended, so that this one tells its end."""

from __future__ import annotations

from flows.auditing import export_named
from flows.runtime import Runtime, Silence
from policy.settings import Settings
from storage.incidents import open_incidents


def resume(runtime: Runtime, settings: Settings) -> None:
    """Remember what is open of what only memory knows: the next look ends it, or not."""
    memory = runtime.memory
    for incident in open_incidents(runtime.database):
        about, _, name = incident.subject.partition(":")
        match about:
            case "flow":
                runtime.failing[name] = incident.title
            case "audit":
                runtime.failing[export_named(name)] = incident.title
            case "collection":
                memory.silent_since = Silence(since=incident.opened_at, told=True)
            case "publish refused":
                memory.refused = (incident.title,)
            case "settings":
                memory.settings = (settings, incident.title)
