"""What can stand between a plan and the cluster; a class is a decision.

OperatorError
├── Refused        the API server says no (400, 403, 422): the user must act; tried again, ever more rarely
├── NameTaken      an object of our name is not ours: left alone until the user removes or renames it
├── Terminating    an object of our name belongs to a deleted owner and is still being removed: try again
├── Stale          what we knew is outdated (409): read again and try again
├── Missing        what we wanted to change is gone (404)
├── Unavailable    the API server is silent or busy (429, 5xx, no connection): try again
└── NotLeading     we may not write any more: another replica may already lead
"""

from agenttype_api.conditions import Reason


class OperatorError(Exception):
    """Base of all; `reason` is the condition reason that a failed apply gets."""

    reason = Reason.APPLY_FAILED


class Refused(OperatorError):  # noqa: N818 — the class is the decision
    """The API server refuses; the message is its own."""

    reason = Reason.FORBIDDEN


class NameTaken(OperatorError):  # noqa: N818
    """A foreign object has the name we need."""

    reason = Reason.NAME_CONFLICT


class Terminating(OperatorError):  # noqa: N818
    """What a deleted owner left is not gone yet."""


class Stale(OperatorError):  # noqa: N818
    """Our knowledge is behind the server's."""


class Missing(OperatorError):  # noqa: N818
    """The object does not exist."""


class Unavailable(OperatorError):  # noqa: N818
    """The API server cannot answer now."""


class NotLeading(OperatorError):  # noqa: N818
    """The Lease is not certainly ours."""
