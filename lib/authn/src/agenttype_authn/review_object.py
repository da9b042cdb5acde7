"""The TokenReview, as we write it and as the API server answers it: pure."""

from typing import Any

from agenttype_authn import service_account
from agenttype_authn.errors import ReviewUnavailable
from agenttype_authn.service_account import ServiceAccount


class Rejected(Exception):  # noqa: N818 — an answer
    """The API server does not accept the token for our audience; the message says why, for the log."""


def request(token: str, audience: str) -> dict[str, Any]:
    """Return the object that asks whose a token is, and whether it was made for this audience."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [audience]},
    }


def account(answer: object, audience: str) -> ServiceAccount:
    """Read the API server's answer.

    Raises:
        Rejected: The token is not valid, not for this audience, or no ServiceAccount's.
        ReviewUnavailable: This is no answer to the question.
    """
    status = answer.get("status") if isinstance(answer, dict) else None
    if not isinstance(status, dict):
        raise ReviewUnavailable("the API server's review cannot be read")
    if status.get("authenticated") is not True:
        raise Rejected(str(status.get("error") or "the token is not valid"))
    # A server that does not know audiences leaves them out, and would accept any token of the cluster.
    audiences = status.get("audiences")
    if not isinstance(audiences, list) or audience not in audiences:
        raise Rejected("the token is for another audience")
    user = status.get("user")
    username = user.get("username") if isinstance(user, dict) else None
    found = service_account.from_username(username)
    if found is None:
        raise Rejected(f"{username!r} is no ServiceAccount")
    return found
