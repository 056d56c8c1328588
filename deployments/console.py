"""What the resident process writes: decisions to stdout, everything else to stderr.

One line per thing that happened. An error that was raised on purpose is its own explanation and
comes without a traceback; a traceback means a defect of ours.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from policy.audit import timestamp
from policy.errors import OptimizerError
from tasks.say import DECISIONS, Event

OURS: Final = ("policy", "storage", "tasks", "flows", "deployments")
RUNS: Final = ("prefect.flow_runs", "prefect.task_runs")


class ExpectedErrors(logging.Filter):
    """Takes the traceback off errors that were raised on purpose."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record; shorten those whose error explains itself."""
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, OptimizerError):
            record.exc_info = None
            record.exc_text = None
        return True


class TextLine(logging.Formatter):
    """`12:00:05 WARNING flows.protect: message`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")


class JsonLine(logging.Formatter):
    """One JSON object per line: timestamp, level, component, action, tenant, message, details."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line: dict[str, object] = {
            "timestamp": timestamp(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
        }
        event = getattr(record, "event", None)
        if isinstance(event, Event):
            line |= {"component": event.component, "action": event.action}
            line |= {} if event.tenant is None else {"tenant": event.tenant}
            line |= {"message": event.words, "details": dict(event.details)}
        else:
            line |= {"component": record.name, "action": record.getMessage()}
        if record.exc_info:
            line["details"] = {"error": self.formatException(record.exc_info)}
        return json.dumps(line)


def set_up_logging(*, level: str, log_format: str) -> None:
    """Send our loggers where they belong and quieten the rest.

    Args:
        level: debug, info, warning or error.
        log_format: text or json.
    """
    formatter = JsonLine() if log_format == "json" else TextLine()
    errors = logging.StreamHandler(sys.stderr)
    errors.setFormatter(formatter)
    for name in OURS:
        logger = logging.getLogger(name)
        logger.handlers = [errors]
        logger.setLevel(level.upper())
        logger.propagate = False
    decisions = logging.StreamHandler(sys.stdout)
    if log_format == "json":
        decisions.setFormatter(formatter)
    logger = logging.getLogger(DECISIONS)
    logger.handlers = [decisions]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def quieten_prefect() -> None:
    """Let Prefect say on stderr only what no run of ours says itself; call it after its import.

    Its console handler is silenced by `PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL`; its runs' logs
    still go to the UI, without a traceback where the error explains itself.
    """
    from prefect.logging.configuration import (  # noqa: PLC0415 - Prefect is imported last
        ensure_logging_setup,
    )

    ensure_logging_setup()
    for name in RUNS:
        logging.getLogger(name).addFilter(ExpectedErrors())
    errors = logging.StreamHandler(sys.stderr)
    errors.setFormatter(TextLine())
    errors.setLevel(logging.ERROR)
    errors.addFilter(lambda record: record.name not in RUNS)
    logging.getLogger("prefect").addHandler(errors)
