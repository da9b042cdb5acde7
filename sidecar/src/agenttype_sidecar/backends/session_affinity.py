"""The session key of one run's calls, for routers that route by cached prefixes.

A caller's own valid key is kept; otherwise there is one key per run, the same after a restart.
"""

import hashlib
import re
from typing import Final

from agenttype_api import keys
from agenttype_proxy import headers as fields
from agenttype_proxy.messages import Headers

_HEADER: Final = keys.HEADER_SESSION.encode()
_SANE: Final = re.compile(rb"[!-~]{1,128}")


class SessionAffinity:
    """The key of one run."""

    def __init__(self, run: str) -> None:
        """Make the key from the run's unique name; the key is a hash, so that the name is not disclosed."""
        self._own = (_HEADER, hashlib.sha256(f"session {run}".encode()).hexdigest()[:32].encode())

    def on(self, headers: Headers) -> Headers:
        """Return a request's header fields with exactly one key."""
        said = fields.every(headers, _HEADER)
        if not said:
            return [*headers, self._own]
        if len(said) == 1 and _SANE.fullmatch(said[0]):
            return headers
        return [*fields.without(headers, _HEADER), self._own]
