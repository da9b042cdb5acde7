"""What can go wrong, as decisions.

ClusterError        one line that tells the fix
├── UnmetError      the machine lacks something; nothing was made (exit 2)
├── BrokenError     what we started failed; what was made is taken down again (exit 1)
└── StoppedError    the user stopped us; what was made is taken down again (exit 130)
"""

from __future__ import annotations


class ClusterError(Exception):
    """An error whose text is one line: what is wrong, then what to do."""

    exit_code = 1

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(f"{what}. Fix: {fix}" if fix else what)


class UnmetError(ClusterError):
    """A precondition of this machine does not hold."""

    exit_code = 2


class BrokenError(ClusterError):
    """A component or a command that we ran did not do its work."""


class StoppedError(ClusterError):
    """SIGINT or SIGTERM arrived."""

    exit_code = 130
