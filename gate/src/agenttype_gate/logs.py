"""Events with fields, one JSON object a line, on standard error."""

import json
import logging


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = {"level": record.levelname.lower(), "room": record.name, "event": record.getMessage()}
        event |= getattr(record, "fields", {})
        if record.exc_info:
            event["trace"] = self.formatException(record.exc_info)
        return json.dumps(event)


def begin() -> None:
    """Send every room's events to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
