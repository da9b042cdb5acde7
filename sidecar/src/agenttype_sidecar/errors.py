"""What a call can be answered with instead of a model's answer, and what keeps the sidecar from starting.

::

    Refusal                      an answer; `answers` turns it into status, headers and body of the caller's protocol
    ├── MalformedBody            400  not one unambiguous JSON object, or a value that policy cannot read
    ├── WrongProtocol            400  the route's backend does not speak the caller's protocol
    ├── Unmetered                400  asks for work that cannot be measured, under a limit that needs it measured
    ├── HostedTool               400  asks the provider to call tool servers, past this agent's policy
    ├── NeverFits                400  larger than a limit as a whole; asking again cannot help
    ├── RuleViolated             403  a rule of the policy forbids it
    ├── UnpricedModel            400  costs are limited, and this model has no price
    ├── AgentStopped             403  the agent was stopped for good
    ├── ForeignOrigin            403  a page of another site asks, through a browser
    ├── UnknownPath              404  not one of our paths
    ├── UnknownModel             404  no route matches
    ├── UnknownResponse          404  no stored response that was made through this sidecar
    ├── WrongMethod              405
    ├── BodyTimedOut             408
    ├── BodyTooLarge             413
    ├── NoWebSocket              426
    ├── BudgetSpent              402  or what the policy says; does not fit into what is left
    ├── BudgetHeld               429  would fit, had running calls given back what they hold
    ├── RateLimited              429  more calls, tokens or calls at once than the policy allows
    ├── UpstreamFailed           502  the backend broke before it answered
    ├── CertificateRefused       502  the backend is not who its certificate must say it is
    ├── BackendBroken            503  failed too often recently; not asked for some seconds
    ├── BackendWarming           503  still starting after `timeouts.warmUpMs`
    ├── LedgerUnavailable        503  the ledger cannot be written: fail closed
    │   └── NatsUnreachable      503  a shared limit cannot be counted: fail closed
    ├── CredentialUnavailable    503  the token or key file cannot be read
    └── UpstreamTimedOut         504
    StartError                   exit with a message; the user or the operator must act
    ├── PolicyError              the policy document cannot be used
    └── LedgerCorrupt            the ledger is not what we wrote; starting empty would forget what was spent
"""

import math
from pathlib import Path
from typing import ClassVar, Final

from agenttype_api.refusal_reasons import RefusalReason
from agenttype_runtime import refusal

#: Seconds that a caller is asked to wait at most: an SDK sleeps for as long as it is told.
LONGEST_WAIT: Final = 60.0


class Refusal(refusal.Refusal):
    """An answer of ours in place of a model's or a tool's."""

    reason: ClassVar[RefusalReason]
    kinds: tuple[str, str]
    """OpenAI's and Anthropic's `type`."""
    outcome: ClassVar[str] = "refused"
    """How the call is counted: refused, or upstream_error where the backend is to blame."""
    anthropic_status: ClassVar[int | None] = None
    """Where Anthropic's differs."""
    parameter: ClassVar[str | None] = None
    """OpenAI's `param`: the member of the body that is at fault."""


class _Invalid(Refusal):
    status = 400
    kinds = ("invalid_request_error", "invalid_request_error")


class MalformedBody(_Invalid):
    """The body cannot be read without guessing."""

    reason = RefusalReason.MALFORMED_BODY


class WrongProtocol(_Invalid):
    """The backend of the route does not speak the caller's protocol."""

    reason = RefusalReason.WRONG_PROTOCOL
    parameter = "model"


class Unmetered(_Invalid):
    """The call asks for work whose extent is not told, though a limit of the agent depends on it."""

    reason = RefusalReason.UNMETERABLE


class HostedTool(_Invalid):
    """The call asks the provider to call tool servers itself, where no policy of the agent's reaches."""

    reason = RefusalReason.HOSTED_TOOL
    parameter = "tools"


class NeverFits(_Invalid):
    """The call is larger than a whole limit."""

    reason = RefusalReason.REQUEST_EXCEEDS_BUDGET

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class RuleViolated(Refusal):
    """A rule of the policy forbids the message; what it found is never told."""

    status = 403
    reason = RefusalReason.POLICY_VIOLATION
    kinds = ("permission_error", "permission_error")

    def __init__(self, rule: str) -> None:
        super().__init__(f"the rule {rule!r} of this agent's policy forbids it")
        self.rule = rule


class UnknownPath(Refusal):
    """There is nothing at this path."""

    status = 404
    reason = RefusalReason.PATH_NOT_FOUND
    kinds = ("invalid_request_error", "not_found_error")


class UnknownModel(Refusal):
    """No route of the policy matches the model's name."""

    status = 404
    reason = RefusalReason.MODEL_NOT_FOUND
    kinds = ("invalid_request_error", "not_found_error")
    parameter = "model"


class UnknownResponse(Refusal):
    """No stored response of this name was made through this sidecar; another may have made one."""

    status = 404
    reason = RefusalReason.RESPONSE_NOT_FOUND
    kinds = ("invalid_request_error", "not_found_error")
    parameter = "previous_response_id"


class WrongMethod(Refusal):
    """The path knows other methods."""

    status = 405
    reason = RefusalReason.METHOD_NOT_ALLOWED
    kinds = ("invalid_request_error", "invalid_request_error")


class BodyTimedOut(Refusal):
    """The caller took too long to send its body."""

    status = 408
    reason = RefusalReason.BODY_TIMEOUT
    kinds = ("invalid_request_error", "invalid_request_error")


class BodyTooLarge(Refusal):
    """The caller's body is larger than we take."""

    status = 413
    reason = RefusalReason.BODY_TOO_LARGE
    kinds = ("invalid_request_error", "request_too_large")


class ForeignOrigin(Refusal):
    """A page of another site asks; on a developer's machine any page that is open can reach our port."""

    status = 403
    reason = RefusalReason.FOREIGN_ORIGIN
    kinds = ("invalid_request_error", "permission_error")

    def __init__(self) -> None:
        super().__init__("pages of other sites may not spend this agent's budget or call its tools")


class NoWebSocket(Refusal):
    """The caller asks for a WebSocket; told so by this status, agents that also speak HTTP turn to it at once."""

    status = 426
    reason = RefusalReason.WEBSOCKET_UNSUPPORTED
    kinds = ("invalid_request_error", "invalid_request_error")


class UnpricedModel(_Invalid):
    """What the agent costs is limited, and a model that can answer the call has no price."""

    reason = RefusalReason.UNPRICED_MODEL
    parameter = "model"


class AgentStopped(Refusal):
    """The agent was stopped for good: nothing is sent any more until its policy changes."""

    status = 403
    reason = RefusalReason.AGENT_STOPPED
    kinds = ("permission_error", "permission_error")


#: A window that starts again within so many seconds is worth waiting for.
_SOON = 60


class BudgetSpent(Refusal):
    """What is left of a limit does not hold the call."""

    reason = RefusalReason.INSUFFICIENT_QUOTA
    kinds = ("insufficient_quota", "billing_error")
    anthropic_status = 402

    def __init__(
        self, message: str, limit: str, remaining: int, *, reset: float | None = None, status: int = 402
    ) -> None:
        """Refuse for a limit.

        Args:
            message: for people.
            limit: its name.
            remaining: what it has left.
            reset: seconds until its window starts again; None if it never does.
            status: the answer's on OpenAI's paths.
        """
        super().__init__(message)
        self.limit = limit
        self.remaining = remaining
        self.reset = None if reset is None else max(1, math.ceil(reset))
        self.status = status
        if self.reset is not None and self.reset <= _SOON:
            self.retry_after = self.reset


class BudgetHeld(Refusal):
    """What is left is held by running calls, and they have not given it back in time."""

    status = 429
    reason = RefusalReason.BUDGET_HELD
    kinds = ("tokens", "rate_limit_error")
    retry_after = 5

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class RateLimited(Refusal):
    """The agent calls faster, or more at once, than its policy allows."""

    status = 429
    reason = RefusalReason.RATE_LIMIT_EXCEEDED

    def __init__(self, message: str, kind: str, wait: float) -> None:
        """Refuse a call.

        Args:
            message: for people.
            kind: "requests" or "tokens": which of the two is short.
            wait: seconds after which the same call would pass.
        """
        super().__init__(message)
        self.kinds = (kind, "rate_limit_error")
        self.milliseconds = math.ceil(min(wait, LONGEST_WAIT) * 1000)
        self.retry_after = max(1, math.ceil(min(wait, LONGEST_WAIT)))


class UpstreamFailed(Refusal):
    """The backend broke before it answered."""

    outcome = "upstream_error"
    status = 502
    reason = RefusalReason.UPSTREAM_FAILED
    kinds = ("server_error", "api_error")
    retry_after = 1


class CertificateRefused(Refusal):
    """The backend's certificate cannot be trusted, so nothing was sent; change it or the policy."""

    status = 502
    reason = RefusalReason.CERTIFICATE_REFUSED
    kinds = ("server_error", "api_error")


class UpstreamTimedOut(Refusal):
    """The backend did not answer in time."""

    outcome = "upstream_error"
    status = 504
    reason = RefusalReason.UPSTREAM_TIMEOUT
    kinds = ("server_error", "timeout_error")


class _Unavailable(Refusal):
    status = 503
    kinds = ("server_error", "overloaded_error")
    retry_after = 2


class BackendWarming(_Unavailable):
    """The backend is still starting."""

    reason = RefusalReason.WARMING
    retry_after = 5


class BackendBroken(_Unavailable):
    """The backend failed too often recently; it is left alone for some seconds."""

    reason = RefusalReason.CIRCUIT_OPEN

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.retry_after = max(1, math.ceil(wait))


class LedgerUnavailable(_Unavailable):
    """The ledger cannot be written, so nothing may be spent."""

    reason = RefusalReason.LEDGER_UNAVAILABLE


class NatsUnreachable(LedgerUnavailable):
    """NATS does not answer, so a shared limit cannot be counted and nothing may be spent from it."""

    reason = RefusalReason.NATS_UNREACHABLE


class CredentialUnavailable(_Unavailable):
    """The file with our proof for the backend cannot be read."""

    reason = RefusalReason.CREDENTIAL_UNAVAILABLE


class StartError(Exception):
    """The sidecar cannot start."""


class PolicyError(StartError):
    """The policy document cannot be used; the message says what to change."""


class LedgerCorrupt(StartError):  # noqa: N818 — tells what is wrong, as its siblings' names do
    """The ledger is damaged, and must not be used."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"the ledger {path} is damaged: {why}. Starting without it would forget what this run has spent; "
            "delete the pod to begin a new run"
        )
