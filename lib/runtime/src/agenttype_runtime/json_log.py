"""The log of every program: one JSON object a line on standard error, always with the same members.

::

    {"time": "2026-01-31T12:00:00.123Z", "level": "warning", "component": "sidecar", "logger": "leases",
     "event": "lease not renewed", "fields": {"account": "team-a.agent.green.day"}}

`time` is RFC 3339 in UTC, `component` the program, `logger` the part of it (or a library's logger), `event` a fixed
sentence, and `fields` what is particular to this one. `trace` is there after an unexpected error. Neither prompts nor
secrets are ever logged.
"""

import datetime as dt
import json
import logging
import sys
from typing import Any, Final, TextIO

#: Loggers of ours are below this one.
ROOT: Final = "agenttype"


class Log:
    """Logs events of one part of a program, with fields by name."""

    def __init__(self, name: str) -> None:
        """Log as `name`, which the member `logger` shows."""
        self._logger = logging.getLogger(f"{ROOT}.{name}")

    def debug(self, event: str, /, **fields: Any) -> None:
        """Log what is of use only in the search for a fault."""
        self._logger.debug(event, extra={"fields": fields})

    def info(self, event: str, /, **fields: Any) -> None:
        """Log a change of state."""
        self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, /, **fields: Any) -> None:
        """Log what went wrong and is being dealt with."""
        self._logger.warning(event, extra={"fields": fields})

    def error(self, event: str, /, **fields: Any) -> None:
        """Log what a person must deal with."""
        self._logger.error(event, extra={"fields": fields})

    def exception(self, event: str, /, **fields: Any) -> None:
        """Log the exception that is being handled, with its trace: a fault of ours."""
        self._logger.exception(event, extra={"fields": fields})  # noqa: LOG004 — its caller handles one


class _Lines(logging.Formatter):
    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "component": self._component,
            "logger": record.name.removeprefix(f"{ROOT}."),
            "event": record.getMessage(),
            "fields": getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up(component: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Write all logs of this process, those of libraries from `info` on.

    Args:
        component: the program's name.
        level: the least level of our own events: debug, info, warning or error.
        stream: where to; standard error by default.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Lines(component))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger(ROOT).setLevel(level.upper())
