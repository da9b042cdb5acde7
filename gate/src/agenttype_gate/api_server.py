"""The API server, which reviews tokens."""

import ssl
from pathlib import Path
from typing import Any, Final

import orjson
from agenttype_authn.errors import ReviewUnavailable
from agenttype_authn.token_reviews import ReviewLimits
from agenttype_proxy.client import Client, ClientLimits
from agenttype_proxy.errors import UpstreamError
from agenttype_proxy.messages import Deadlines, Origin, Request

from agenttype_gate.error_responses import JSON

_PATH: Final = b"/apis/authentication.k8s.io/v1/tokenreviews"
_DEADLINES: Final = Deadlines(connect=2.0, first_byte=5.0, idle=5.0, total=8.0)
_CREATED: Final = (200, 201)
_LIMIT: Final = 1024 * 1024


class ApiServer:
    """Reviews tokens with the gate's own one, over TLS that is verified against the cluster's authority."""

    def __init__(self, origin: Origin, token: Path, authority: Path) -> None:
        """Read the authority now; the token again for every review, because the kubelet rotates it."""
        self._origin = origin
        self._token = token
        tls = ssl.create_default_context(cafile=authority) if origin.scheme == "https" else None
        self._client = Client(ClientLimits(connections=ReviewLimits().at_once), tls)

    async def review(self, body: dict[str, Any]) -> object:
        """Create a TokenReview and return the answer.

        Raises:
            ReviewUnavailable: The API server could not be asked, or did not answer the question.
        """
        try:
            own = self._token.read_text().strip()
            headers = [JSON, (b"accept", b"application/json"), (b"authorization", f"Bearer {own}".encode())]
            request = Request(b"POST", self._origin.target(_PATH), headers, orjson.dumps(body))
            async with await self._client.send(self._origin, request, _DEADLINES) as response:
                answer = await response.read(_LIMIT)
        except OSError as error:
            raise ReviewUnavailable("the gate's own token cannot be read") from error
        except UpstreamError as error:
            raise ReviewUnavailable("the API server does not answer, so no token can be checked") from error
        if response.status not in _CREATED:
            raise ReviewUnavailable(f"the API server refuses to review tokens (status {response.status})")
        try:
            return orjson.loads(answer)
        except ValueError as error:
            raise ReviewUnavailable("the API server's review cannot be read") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
