"""`agenttype`: the command line of this project."""

import sys

from agenttype_cli import options, run
from agenttype_cli.errors import UserError
from agenttype_cli.signals import Ended, Signals


def main() -> int:
    """Return the exit status: the command's own, or 2 with a message where nothing was run."""
    try:
        chosen = options.parse(sys.argv[1:])
        return run.run(chosen, Signals())
    except Ended as end:
        return end.status
    except UserError as error:
        sys.stderr.write(f"agenttype: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
