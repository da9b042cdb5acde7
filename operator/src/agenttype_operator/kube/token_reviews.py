"""TokenReview: the API server says whose token it is."""

from agenttype_authn.errors import ReviewUnavailable

from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.client import KubeClient
from agenttype_operator.kube.kinds import Raw


class TokenReviewClient:
    """Sends token reviews to the API server, as `agenttype_authn` wants them sent."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def review(self, body: Raw) -> Raw:
        """Create a TokenReview and return the answer.

        Raises:
            ReviewUnavailable: The API server does not answer, or refuses to review tokens.
        """
        try:
            return await self._client.review(kinds.TOKEN_REVIEW, body["spec"])
        except errors.OperatorError as error:
            raise ReviewUnavailable(str(error)) from error
