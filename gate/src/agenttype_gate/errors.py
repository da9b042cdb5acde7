# ruff: noqa: N818 — the names say what happened; that they are errors is what the tree is about
"""What can go wrong, as decisions.

::

    GateError
    ├── Refusal                  a call is answered by us; status, reason and whether to repeat it are the class's
    │   ├── BadBody              400  the caller's request is no request
    │   ├── TokenRefused         401  no token, or one that the API server does not vouch for
    │   ├── NotACaller           403  a known account that no agent of this backend runs under
    │   ├── NoSuchPath           404  not on the allow-list
    │   ├── NoSuchModel          404  not a served name, or not one of this caller's
    │   ├── BodyLate             408  the body did not arrive
    │   ├── BodyTooBig           413  the body is larger than we hold in memory
    │   ├── EngineBroke          502  the engine took the call and hung up
    │   ├── Busy                 503  we hold as many bodies in memory as we may
    │   ├── Warming              503  the engine or the adapter is on its way: come back in a second
    │   ├── AdapterUnusable      503  the adapter will not come by waiting; its LoraAdapter says why
    │   ├── ReviewUnavailable    503  the API server cannot be asked, so no call is let in
    │   └── EngineSilent         504  the engine took the call and said nothing
    ├── EngineAway               the engine cannot be reached or is not up: try again later
    │   └── EngineLost           it took the request and broke off: perhaps because of it
    ├── VolumeTrouble            the engine's volume cannot be read or written: try again later
    ├── Spoiled                  our copy of an adapter is not what it was: unload it, delete it, fetch it again
    └── AdapterFault             an adapter is broken by its own fault; the class is its reported state
        ├── Missing
        ├── DigestMismatch
        └── Rejected
"""

from typing import ClassVar

from agenttype_api.gate_policy import AdapterState
from agenttype_api.refusal_reasons import RefusalReason
from agenttype_runtime import refusal


class GateError(Exception):
    """The base of everything that this room decides about."""


class Refusal(refusal.Refusal, GateError):
    """A call is answered by us and never reaches the engine, or not again.

    Attributes:
        kind: The error's type in both protocols' words.
    """

    reason: ClassVar[RefusalReason]
    kind: ClassVar[str]


class BadBody(Refusal):
    """The body is not one JSON object with a string `model`, or two readers could read it differently."""

    status, reason, kind = 400, RefusalReason.MALFORMED_BODY, "invalid_request_error"


class TokenRefused(Refusal):
    """No token, or one that the API server does not vouch for."""

    status, reason, kind = 401, RefusalReason.INVALID_TOKEN, "authentication_error"


class NotACaller(Refusal):
    """A known account that no agent of this backend runs under."""

    status, reason, kind = 403, RefusalReason.CALLER_NOT_ALLOWED, "permission_error"


class NoSuchPath(Refusal):
    """Not on the allow-list."""

    status, reason, kind = 404, RefusalReason.PATH_NOT_FOUND, "not_found_error"


class NoSuchModel(Refusal):
    """Not a served name, or not one of this caller's: the two look alike on purpose."""

    status, reason, kind = 404, RefusalReason.MODEL_NOT_FOUND, "not_found_error"


class BodyLate(Refusal):
    """The body did not arrive in time."""

    status, reason, kind, retry_after = 408, RefusalReason.BODY_TIMEOUT, "timeout_error", 1


class BodyTooBig(Refusal):
    """The body is larger than we hold in memory."""

    status, reason, kind = 413, RefusalReason.BODY_TOO_LARGE, "request_too_large"


class EngineBroke(Refusal):
    """The engine took the call and hung up; it may have spent what the call costs."""

    status, reason, kind, retry_after = 502, RefusalReason.UPSTREAM_FAILED, "api_error", 1


class Busy(Refusal):
    """We hold as many bodies in memory as we may."""

    status, reason, kind, retry_after = 503, RefusalReason.OVERLOADED, "overloaded_error", 1


class Warming(Refusal):
    """The engine or the adapter is on its way."""

    status, reason, kind, retry_after = 503, RefusalReason.WARMING, "overloaded_error", 1


class AdapterUnusable(Refusal):
    """The adapter will not come by waiting; its LoraAdapter's status says why."""

    status, reason, kind = 503, RefusalReason.ADAPTER_UNUSABLE, "api_error"


class ReviewUnavailable(Refusal):
    """The API server cannot be asked, so no call is let in."""

    status, reason, kind, retry_after = 503, RefusalReason.TOKEN_REVIEW_UNAVAILABLE, "api_error", 1


class EngineSilent(Refusal):
    """The engine took the call and said nothing in time; it may have spent what the call costs."""

    status, reason, kind, retry_after = 504, RefusalReason.UPSTREAM_TIMEOUT, "timeout_error", 1


class EngineAway(GateError):
    """The engine cannot be reached or is not up: try again later."""


class EngineLost(EngineAway):
    """The engine took the request and broke off: perhaps because of it."""


class VolumeTrouble(GateError):
    """The engine's volume cannot be read or written: try again later."""


class Spoiled(GateError):
    """Our copy of an adapter is not what it was, or gone under the engine: unload it, delete it, fetch it again."""


class AdapterFault(GateError):
    """An adapter is broken by its own fault; the message is for its owner."""

    state: ClassVar[AdapterState]


class Missing(AdapterFault):
    """Its folder is not in the adapter volume."""

    state = AdapterState.MISSING


class DigestMismatch(AdapterFault):
    """Its files are not those of the digest."""

    state = AdapterState.DIGEST_MISMATCH


class Rejected(AdapterFault):
    """Its files do not fit the base model or this engine, or the engine refused them."""

    state = AdapterState.REJECTED
