"""What can stand between a token and its ServiceAccount; a class is a decision.

AuthnError
├── Unauthenticated     the caller is refused until it sends another token
└── ReviewUnavailable   the API server cannot be asked: the caller is refused for now, and nothing is remembered
"""


class AuthnError(Exception):
    """The base of both; the message may be told to the caller."""


class Unauthenticated(AuthnError):  # noqa: N818 — the class is the decision
    """The request carries no token, or one that the API server does not accept for our audience.

    Attributes:
        detail: Why, for the log and not for the caller; empty where the message says it all.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ReviewUnavailable(AuthnError):  # noqa: N818
    """The API server does not answer, or not the question that it was asked."""
