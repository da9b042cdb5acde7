"""`python -m agenttype_operator`: read the settings, run until SIGTERM, log as JSON lines."""

import asyncio
import json
import logging
import sys

from agenttype_operator import app, settings


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


def main() -> int:
    """Run; return the exit status: 0 after SIGTERM, 2 on wrong settings."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("kopf").setLevel(logging.ERROR)  # it warns of being in a thread, and of what we supervise
    try:
        found = settings.from_environment()
        logging.getLogger("agenttype_operator").setLevel(found.log_level)
        asyncio.run(app.run(found))
    except settings.SettingsError as error:
        logging.getLogger(__name__).error("wrong settings", extra={"error": str(error)})  # noqa: TRY400 — not code's fault
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
