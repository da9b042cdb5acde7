"""TokenReview: the API server says whose token it is."""

from agenttype_operator.kube import kinds
from agenttype_operator.kube.client import KubeClient
from agenttype_operator.kube.kinds import Raw


class TokenReviews:
    """Reviews tokens for one audience.

    Args:
        client: asks the API server.
        audience: what the tokens must have been made for.
    """

    def __init__(self, client: KubeClient, audience: str) -> None:
        self._client = client
        self._audience = audience

    async def review(self, token: str) -> Raw:
        """Return the TokenReview of a token, as the API server answers it."""
        return await self._client.review(kinds.TOKEN_REVIEW, {"token": token, "audiences": [self._audience]})
