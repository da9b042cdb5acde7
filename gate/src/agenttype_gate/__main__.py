"""Starts the gate: `python -m agenttype_gate --help`."""

import os
import sys

from agenttype_proxy import loop
from agenttype_runtime import json_log

from agenttype_gate import app, options


def main() -> None:
    """Serve until a signal ends the process."""
    chosen = options.parse(sys.argv[1:])
    json_log.set_up("gate")
    os.umask(0o022)  # the engine, which runs as another user, reads the adapter files
    loop.run(app.run(chosen))


if __name__ == "__main__":
    main()
