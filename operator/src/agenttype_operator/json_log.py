"""Logs as JSON lines."""

import json
import logging
import sys


class JsonLines(logging.Formatter):
    """Writes a record and its extra fields as one JSON object."""

    _OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        fields = {name: value for name, value in vars(record).items() if name not in self._OWN}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        head = {"level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
        return json.dumps({"time": self.formatTime(record), **head, **fields}, default=str)


def set_up(level: str) -> None:
    """Write all logs to standard output, our own from a level on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("agenttype_operator").setLevel(level)
