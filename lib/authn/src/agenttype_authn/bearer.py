"""The token in a request's head: at most one, of the shape that ServiceAccount tokens have. Pure."""

import re
from collections.abc import Iterable
from typing import Final

from agenttype_authn.errors import Unauthenticated

#: A compact JWS. What has another shape is no ServiceAccount token, and the API server is not bothered with it.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LONGEST: Final = 8192


def token(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the bearer token.

    Args:
        headers: names in lower case, and values.

    Raises:
        Unauthenticated: There is none, more than one, or it cannot be a ServiceAccount's.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        raise Unauthenticated("send the pod's token as 'authorization: Bearer'")
    scheme, _, credential = values[0].decode("latin-1").partition(" ")
    found = credential.strip()
    if len(values) > 1 or scheme.lower() != "bearer" or len(found) > _LONGEST or not _TOKEN.fullmatch(found):
        raise Unauthenticated("the authorization header does not carry one ServiceAccount token")
    return found
