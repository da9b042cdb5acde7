"""`agenttype`: the command line of this project."""

import signal
import sys

from agenttype_cli import options, run
from agenttype_cli.errors import UserError


def main() -> int:
    """Return the exit status: the command's own, or 2 with a message where nothing was run."""
    try:
        chosen = options.parse(sys.argv[1:])
        if not chosen.command:
            # Waited for, not handled: blocked before any thread exists, so that every thread inherits it.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        return run.run(chosen)
    except UserError as error:
        sys.stderr.write(f"agenttype: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
