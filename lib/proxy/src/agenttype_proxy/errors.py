# ruff: noqa: N818 — the names say what happened; the tree shows that they are errors
"""What can go wrong on a connection, as decisions.

::

    ProxyError
    ├── UpstreamError                 .dispatched: may the upstream have begun to work on the call?
    │   ├── InvalidRequest            no    invalid as composed by us; sending it would break the framing
    │   ├── ConnectFailed             no    refused, unresolvable, or its certificate is not trusted
    │   ├── ConnectTimeout            no    no connection (or no free one) in time
    │   ├── FirstByteTimeout          yes   accepted, then silent
    │   ├── IdleTimeout               yes   began to answer, then silent
    │   ├── TotalTimeout              yes   answering still, but the call's time is used up
    │   ├── UpstreamReset             yes   hung up before the answer was whole
    │   ├── InvalidResponse           yes   answered with something that is not an HTTP/1.1 response
    │   └── ResponseTooLarge          yes   answered more than the reader allows
    │       └── EventTooLarge         yes   one server-sent event beyond the reader's limit
    └── CallerError
        ├── BodyTooLarge              more request body than allowed (413)
        ├── BodyTimeout               the request body did not arrive in time (408)
        └── CallerGone                hung up; no answer can be sent
"""


class ProxyError(Exception):
    """The base of all errors of a connection."""


class UpstreamError(ProxyError):
    """The upstream's side failed; ``dispatched`` says whether it may have begun to work on the call.

    Not dispatched means that a hold can be released and the call tried elsewhere; dispatched means that the
    upstream may have spent what the call costs.
    """

    dispatched: bool = True


class InvalidRequest(UpstreamError):
    """The request as composed would break the framing (a line break in a header); nothing was sent."""

    dispatched = False


class ConnectFailed(UpstreamError):
    """No connection: refused, unreachable, unresolvable, or not the server that its certificate must name."""

    dispatched = False


class ConnectTimeout(UpstreamError):
    """No connection within ``Deadlines.connect``, because of the network or of our own limit of connections."""

    dispatched = False


class FirstByteTimeout(UpstreamError):
    """No response head within ``Deadlines.first_byte`` of sending the request."""


class IdleTimeout(UpstreamError):
    """No further byte of a begun response within ``Deadlines.idle``."""


class TotalTimeout(UpstreamError):
    """The call was still going on after ``Deadlines.total``."""


class UpstreamReset(UpstreamError):
    """The connection ended before the response was whole."""


class InvalidResponse(UpstreamError):
    """The received bytes are not an HTTP/1.1 response with unambiguous framing."""


class ResponseTooLarge(UpstreamError):
    """The response head or body is larger than its reader allows."""


class EventTooLarge(ResponseTooLarge):
    """One server-sent event is larger than its reader allows."""


class CallerError(ProxyError):
    """The caller's side failed."""


class BodyTooLarge(CallerError):
    """The caller's body is larger than allowed."""


class BodyTimeout(CallerError):
    """The caller's body did not arrive in time."""


class CallerGone(CallerError):
    """The caller hung up."""
