"""`python -m agenttype_operator`: read the settings, run until SIGTERM, log as JSON lines."""

import asyncio
import logging
import sys

from agenttype_operator import app, json_log, settings


def main() -> int:
    """Run; return the exit status: 0 after SIGTERM, 2 on wrong settings."""
    json_log.set_up("INFO")
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
