"""`python -m agenttype_wrapper.install --to /opt/agenttype`: what the init container runs.

Prints one JSON line, to stdout if the wrapper is in place and to stderr if not, and exits 0 or 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys

from agenttype_wrapper import errors, tree, volume
from agenttype_wrapper.payload.python._agenttype_wrapper import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence, TextIO

PAYLOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "payload")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Copy the payload, check the copy, say so; returns the exit status."""
    parser = argparse.ArgumentParser(description="Put the wrapper beside the agent and check the copy.")
    parser.add_argument("--to", default=environment.ROOT, metavar="DIRECTORY", help="default: %(default)s")
    root = os.path.abspath(parser.parse_args(arguments).to)
    try:
        wanted = tree.read(PAYLOAD, root)
        volume.install(wanted)
    except errors.InstallError as error:
        _print(sys.stderr, event="wrapper not installed", to=root, uid=os.getuid(), error=str(error))
        return 1
    _print(
        sys.stdout,
        event="wrapper installed",
        to=root,
        digest=wanted.digest,
        files=len(wanted.files),
        bytes=sum(map(len, wanted.files.values())),
        bytecode=platform.python_version(),
    )
    return 0


def _print(stream: TextIO, **fields: object) -> None:
    stream.write(json.dumps(fields) + "\n")


if __name__ == "__main__":
    sys.exit(main())
