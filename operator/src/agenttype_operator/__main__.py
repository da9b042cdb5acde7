"""`python -m agenttype_operator`: read the settings, run until SIGTERM, log as JSON lines."""

import asyncio
import logging
import sys

from agenttype_runtime import json_log
from agenttype_runtime.json_log import Log

from agenttype_operator import app, settings


def main() -> int:
    """Run; return the exit status: 0 after SIGTERM, 2 on wrong settings."""
    json_log.set_up("operator")
    logging.getLogger("kopf").setLevel(logging.ERROR)  # it warns of being in a thread, and of what we supervise
    try:
        found = settings.from_environment()
        json_log.set_up("operator", found.log_level)
        asyncio.run(app.run(found))
    except settings.SettingsError as error:
        Log("settings").error("wrong settings", error=str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
