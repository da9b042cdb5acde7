"""The API server's word on a token."""

import asyncio
import ssl
from pathlib import Path
from typing import Any, Final

import orjson
from agenttype_api import keys
from agenttype_proxy.client import Client, ClientLimits
from agenttype_proxy.errors import UpstreamError
from agenttype_proxy.messages import Deadlines, Origin, Request

from agenttype_gate.error_responses import JSON
from agenttype_gate.errors import ReviewUnavailable

_PATH: Final = b"/apis/authentication.k8s.io/v1/tokenreviews"
_DEADLINES: Final = Deadlines(connect=2.0, first_byte=5.0, idle=5.0, total=8.0)
_CREATED: Final = (200, 201)
_PREFIX: Final = "system:serviceaccount:"
_LIMIT: Final = 1024 * 1024
#: Reviews at once; the rest wait. A flood of made-up tokens must not become a flood at the API server.
_AT_ONCE: Final = 16
#: How long a caller waits for its review in all, in seconds, the wait for its turn included.
_PATIENCE: Final = 10.0


class ApiServer:
    """Reviews tokens with the gate's own one, over TLS that is verified against the cluster's authority."""

    def __init__(self, origin: Origin, token: Path, authority: Path) -> None:
        """Read the authority now; the token anew for every review, because the kubelet rotates it."""
        self._origin = origin
        self._token = token
        tls = ssl.create_default_context(cafile=authority) if origin.scheme == "https" else None
        self._client = Client(ClientLimits(connections=_AT_ONCE), tls)
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def review(self, token: str) -> str | None:
        """Return the ServiceAccount `namespace/name` that a token stands for, None where it stands for none.

        Raises:
            ReviewUnavailable: The API server could not be asked, or did not answer the question.
        """
        try:
            async with asyncio.timeout(_PATIENCE), self._places:
                status = await self._status(token)
        except TimeoutError as error:
            raise ReviewUnavailable("the API server is too slow, so no token can be checked") from error
        if status.get("authenticated") is not True:
            return None
        # A server that knows nothing of audiences leaves them out, and would take any token of the cluster for ours.
        if keys.TOKEN_AUDIENCE not in (status.get("audiences") or ()):
            return None
        return _account(status.get("user"))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _status(self, token: str) -> dict[str, Any]:
        question = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [keys.TOKEN_AUDIENCE]},
        }
        try:
            own = self._token.read_text().strip()
            headers = [JSON, (b"accept", b"application/json"), (b"authorization", f"Bearer {own}".encode())]
            request = Request(b"POST", self._origin.target(_PATH), headers, orjson.dumps(question))
            async with await self._client.send(self._origin, request, _DEADLINES) as response:
                body = await response.read(_LIMIT)
        except OSError as error:
            raise ReviewUnavailable("the gate's own token cannot be read") from error
        except UpstreamError as error:
            raise ReviewUnavailable("the API server does not answer, so no token can be checked") from error
        if response.status not in _CREATED:
            raise ReviewUnavailable(f"the API server refuses to review tokens (status {response.status})")
        try:
            status = orjson.loads(body)["status"]
        except (ValueError, TypeError, KeyError) as error:
            raise ReviewUnavailable("the API server's review cannot be read") from error
        if not isinstance(status, dict):
            raise ReviewUnavailable("the API server's review cannot be read")
        return status


def _account(user: object) -> str | None:
    name = user.get("username") if isinstance(user, dict) else None
    if not isinstance(name, str) or not name.startswith(_PREFIX):
        return None
    namespace, colon, account = name.removeprefix(_PREFIX).partition(":")
    return f"{namespace}/{account}" if namespace and colon and account else None
