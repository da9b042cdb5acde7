"""Authorization requests and responses, and user JWTs, as NATS writes them: pure.

What they look like: https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-26.md
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from agenttype_bus import nkey, subjects
from agenttype_bus.errors import UnreadableRequest
from agenttype_bus.nkey import KeyPair
from agenttype_bus.permissions import Permissions

_HEAD: Final = {"typ": "JWT", "alg": "ed25519-nkey"}
_VERSION: Final = 2


@dataclass(frozen=True)
class AuthorizationRequest:
    """What a server asks: who is this connection?"""

    server: str
    """Id of the server: the answer is for it alone."""
    user: str
    """Key that the server made for the connection: the answer is about it."""
    token: str
    """What the client gave; empty when it gave none."""
    host: str
    """Where it comes from, for the log."""


def authorization_request(message: bytes) -> AuthorizationRequest:
    """Read a server's question. It came over the server's own loopback, where no other connection may publish it.

    Raises:
        UnreadableRequest: it is none.
    """
    try:
        claims = json.loads(_decoded(message.split(b".")[1]))["nats"]
        return AuthorizationRequest(
            server=claims["server_id"]["id"],
            user=claims["user_nkey"],
            token=claims["connect_opts"].get("auth_token", ""),
            host=claims["client_info"].get("host", ""),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise UnreadableRequest(type(error).__name__) from error


def user_jwt(asked: AuthorizationRequest, granted: Permissions, issuer: KeyPair, now: int) -> str:
    """Write what a connection may do."""
    return _signed(
        {
            "iat": now,
            "sub": asked.user,
            "aud": subjects.SERVER_ACCOUNT,
            "nats": {
                "pub": {"allow": list(granted.publish)},
                "sub": {"allow": list(granted.subscribe)},
                **dict.fromkeys(("subs", "data", "payload"), -1),
                "type": "user",
                "version": _VERSION,
            },
        },
        issuer,
    )


def authorization_response(asked: AuthorizationRequest, told: dict[str, str], issuer: KeyPair, now: int) -> bytes:
    """Write the answer to a question; `told` is `{"jwt": user}` or `{"error": why}`."""
    nats = {**told, "type": "authorization_response", "version": _VERSION}
    return _signed({"iat": now, "sub": asked.user, "aud": asked.server, "nats": nats}, issuer).encode()


def _signed(claims: dict[str, Any], issuer: KeyPair) -> str:
    claims = {**claims, "iss": nkey.public(issuer)}
    claims["jti"] = base64.b32encode(hashlib.sha256(_text(claims)).digest()).decode().rstrip("=")
    signed = b".".join((_encoded(_text(_HEAD)), _encoded(_text(claims))))
    return b".".join((signed, _encoded(issuer.sign(signed)))).decode()


def _text(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
