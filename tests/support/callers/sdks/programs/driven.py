"""Makes the calls that are asked for on standard input, one a line, and prints how each ended as JSON.

Runs in the environments of the client libraries, where nothing of ours is installed.
"""

import json
import sys


def run(calls):
    """Serve `plain` and `stream`; an entry of `calls` returns the answer's text."""
    told, sys.stdout = sys.stdout, sys.stderr  # some libraries print
    for line in sys.stdin:
        try:
            seen = {"text": calls[line.strip()]()}
        except Exception as error:  # noqa: BLE001 — whatever a library raises is what is looked at
            seen = {"error": type(error).__name__, "status": getattr(error, "status_code", None), "said": str(error)}
        told.write(json.dumps(seen) + "\n")
        told.flush()
