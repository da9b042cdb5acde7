"""Which header fields go on to the next hop, and the few edits that a proxy makes."""

from agenttype_proxy.messages import Headers

HOP_BY_HOP = frozenset({
    b"connection", b"http2-settings", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip
"""Fields that are for the next hop only (RFC 9110 section 7.6.1, and those of RFC 7540's upgrade)."""

OF_ONE_REQUEST = frozenset({b"host", b"content-length", b"expect"})
"""Fields of a request that the client writes itself, or answers itself."""

MISLEADING = frozenset({
    b"alt-used", b"base-url", b"forwarded", b"proxy", b"true-client-ip", b"x-client-ip", b"x-host",
    b"x-http-host-override", b"x-http-method", b"x-http-method-override", b"x-http-path-override", b"x-method",
    b"x-method-override", b"x-override-url", b"x-real-ip",
})  # fmt: skip
"""Fields by which some servers read another method, path, host or caller than the request has."""

MISLEADING_PREFIXES = (b"x-accel-", b"x-envoy-", b"x-forwarded-", b"x-original-", b"x-rewrite-")
"""Prefixes of further such fields."""


def forwardable(headers: Headers) -> Headers:
    """Return the fields that may go on, in either direction: no hop-by-hop ones, and none that ``Connection`` names."""
    named = named_by_connection(headers)
    if named:
        return [field for field in headers if field[0] not in HOP_BY_HOP and field[0] not in named]
    return [field for field in headers if field[0] not in HOP_BY_HOP]


def get(headers: Headers, name: bytes) -> bytes | None:
    """Return the first value of ``name`` (lower case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


def every(headers: Headers, name: bytes) -> list[bytes]:
    """Return all values of ``name`` (lower case), in their order."""
    return [value for key, value in headers if key == name]


def is_encoded(headers: Headers) -> bool:
    """Return whether a body has a content encoding; every field counts, so that one field cannot hide another."""
    return bool([value for name, value in headers if name == b"content-encoding" and value != b"identity"])


def without(headers: Headers, *names: bytes) -> Headers:
    """Return the fields that have none of ``names`` (lower case)."""
    return [field for field in headers if field[0] not in names]


def replaced(headers: Headers, name: bytes, value: bytes) -> Headers:
    """Return the fields with exactly one ``name`` (lower case), the last."""
    return [*without(headers, name), (name, value)]


def named_by_connection(headers: Headers) -> frozenset[bytes]:
    """Return the names (lower case) of the fields that ``Connection`` excludes from the next hop."""
    tokens = [value for key, value in headers if key == b"connection"]
    if not tokens:
        return frozenset()
    return frozenset(token.strip().lower() for token in b",".join(tokens).split(b","))
