"""What a call can be answered with instead of a model's answer, and what keeps the sidecar from starting.

::

    Refusal                      an answer; `answers` turns it into status, headers and body of the caller's protocol
    ├── MalformedBody            400  not one unambiguous JSON object, or a value that policy cannot read
    ├── WrongProtocol            400  the route's backend does not speak the caller's protocol
    ├── NeverFits                400  larger than a limit as a whole; asking again cannot help
    ├── UnknownPath              404  not one of our paths
    ├── UnknownModel             404  no route matches
    ├── WrongMethod              405
    ├── BodyTimedOut             408
    ├── BodyTooLarge             413
    ├── BudgetSpent              429 / 402  does not fit into what is left
    ├── BudgetHeld               429  would fit, had running calls given back what they hold
    ├── UpstreamFailed           502  the backend broke before it answered
    ├── BackendWarming           503  still starting after `timeouts.warmUp`
    ├── LedgerUnavailable        503  the ledger cannot be written: fail closed
    ├── CredentialUnavailable    503  the token or key file cannot be read
    └── UpstreamTimedOut         504
    StartError                   exit with a message; the user or the operator must act
    ├── PolicyError              the policy document cannot be used
    └── LedgerCorrupt            the ledger is not what we wrote; starting empty would forget what was spent
"""

from typing import ClassVar


class Refusal(Exception):  # noqa: N818 — it is an answer, not a fault
    """An answer of ours; `message` is for people and never repeats what the caller sent."""

    status: ClassVar[int]
    reason: ClassVar[str]
    """Label of the metric and value of the header x-agenttype-reason."""
    kinds: ClassVar[tuple[str, str]]
    """OpenAI's and Anthropic's `type`."""
    anthropic_status: ClassVar[int | None] = None
    """Where Anthropic's differs."""
    retry_after: ClassVar[int | None] = None
    """Seconds; None: asking again does not help, and SDKs are told so."""
    parameter: ClassVar[str | None] = None
    """OpenAI's `param`: the member of the body that is at fault."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class _Invalid(Refusal):
    status = 400
    kinds = ("invalid_request_error", "invalid_request_error")


class MalformedBody(_Invalid):
    """The body cannot be read without guessing."""

    reason = "malformed_body"


class WrongProtocol(_Invalid):
    """The backend of the route does not speak the caller's protocol."""

    reason = "wrong_protocol"
    parameter = "model"


class NeverFits(_Invalid):
    """The call is larger than a whole limit."""

    reason = "request_exceeds_budget"

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class UnknownPath(Refusal):
    """There is nothing at this path."""

    status = 404
    reason = "unknown_path"
    kinds = ("invalid_request_error", "not_found_error")


class UnknownModel(Refusal):
    """No route of the policy matches the model's name."""

    status = 404
    reason = "model_not_found"
    kinds = ("invalid_request_error", "not_found_error")
    parameter = "model"


class WrongMethod(Refusal):
    """The path knows other methods."""

    status = 405
    reason = "method_not_allowed"
    kinds = ("invalid_request_error", "invalid_request_error")


class BodyTimedOut(Refusal):
    """The caller took too long to send its body."""

    status = 408
    reason = "body_timeout"
    kinds = ("invalid_request_error", "invalid_request_error")


class BodyTooLarge(Refusal):
    """The caller's body is larger than we take."""

    status = 413
    reason = "body_too_large"
    kinds = ("invalid_request_error", "request_too_large")


class BudgetSpent(Refusal):
    """What is left of a limit does not hold the call."""

    status = 429
    reason = "insufficient_quota"
    kinds = ("insufficient_quota", "billing_error")
    anthropic_status = 402

    def __init__(self, message: str, limit: str, remaining: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.remaining = remaining


class BudgetHeld(Refusal):
    """What is left is held by running calls, and they have not given it back in time."""

    status = 429
    reason = "rate_limit_exceeded"
    kinds = ("tokens", "rate_limit_error")
    retry_after = 5

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class UpstreamFailed(Refusal):
    """The backend broke before it answered."""

    status = 502
    reason = "upstream_failed"
    kinds = ("server_error", "api_error")
    retry_after = 1


class UpstreamTimedOut(Refusal):
    """The backend did not answer in time."""

    status = 504
    reason = "upstream_timeout"
    kinds = ("server_error", "timeout_error")


class _Unavailable(Refusal):
    status = 503
    kinds = ("server_error", "overloaded_error")
    retry_after = 2


class BackendWarming(_Unavailable):
    """The backend is still starting."""

    reason = "warming"
    retry_after = 5


class LedgerUnavailable(_Unavailable):
    """The ledger cannot be written, so nothing may be spent."""

    reason = "ledger_unavailable"


class CredentialUnavailable(_Unavailable):
    """The file with our proof for the backend cannot be read."""

    reason = "credential_unavailable"


class StartError(Exception):
    """The sidecar cannot start."""


class PolicyError(StartError):
    """The policy document cannot be used; the message says what to change."""


class LedgerCorrupt(StartError):  # noqa: N818 — tells what is wrong, as its siblings' names do
    """The ledger is damaged."""
