"""Decides which request heads are refused before any app sees them.

The parser has already refused malformed lines, folded fields, duplicate or malformed lengths and a length together with
an encoding. Other heads are well-formed but still dangerous, because two servers in a row could read them differently.
"""

import re

from agenttype_proxy.messages import Headers

_TARGET = re.compile(rb"/[!-\"$-~]*")  # origin-form: a path and a query in visible ASCII; no '#', no authority
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")  # RFC 3986; no user, no path
_TUNNELS = (b"CONNECT", b"SOURCE")  # SOURCE is a method of ICE


def acceptable(method: bytes, target: bytes, version: str, headers: Headers) -> bool:
    """Return whether all servers read this head the same way.

    Refused: CONNECT, absolute-form, authority-form and asterisk-form targets, fragments, versions other than
    1.0 and 1.1, no or several ``Host`` (1.1) or one that names no host, an encoding other than ``chunked``, any
    encoding in 1.0.
    """
    if method in _TUNNELS or not _TARGET.fullmatch(target):
        return False
    hosts = codings = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not _HOST.fullmatch(value):
                return False
        elif name == b"transfer-encoding":
            codings += 1
            if value.strip().lower() != b"chunked":
                return False
    if version == "1.1":
        return hosts == 1 and codings <= 1
    return version == "1.0" and hosts <= 1 and codings == 0
