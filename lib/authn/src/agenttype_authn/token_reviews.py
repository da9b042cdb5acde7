"""Whose a token is: the API server's answers, remembered for a while.

Answers are kept by the token's sha256, never the token. A good one is kept 60 s: so long does a revoked token still
pass. A bad one is kept 5 s. The two have separate caches, so that made-up tokens push no good one out.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from agenttype_authn import review_object
from agenttype_authn.errors import ReviewUnavailable, Unauthenticated
from agenttype_authn.service_account import ServiceAccount
from agenttype_authn.timed_cache import TimedCache

GOOD_SECONDS: Final = 60.0
BAD_SECONDS: Final = 5.0
_REMEMBERED: Final = 4096

Outcome = Literal["accepted", "refused", "unavailable"]


class TokenReviewer(Protocol):
    """How a TokenReview reaches the API server."""

    async def review(self, body: dict[str, Any]) -> object:
        """Create the TokenReview and return the API server's answer to it.

        Raises:
            ReviewUnavailable: The API server could not be asked, or refuses to review tokens.
        """


@dataclass(frozen=True)
class ReviewLimits:
    """What a flood of made-up tokens may do to the API server, and how long its answer is waited for.

    Attributes:
        at_once: Reviews at once; the rest wait.
        seconds: How long a review may take in all, the wait for its turn included.
    """

    at_once: int = 16
    seconds: float = 10.0


def _ignore(_: Outcome) -> None:
    """Count nothing."""


class TokenReviews:
    """Reviews tokens for one audience; calls with one token at one time share one review."""

    def __init__(
        self,
        reviewer: TokenReviewer,
        audience: str,
        clock: Callable[[], float],
        limits: ReviewLimits | None = None,
        on_review: Callable[[Outcome], None] = _ignore,
    ) -> None:
        """Remember nothing yet.

        Args:
            reviewer: asks the API server.
            audience: what the tokens must have been made for.
            clock: seconds that never go back.
            limits: of the questions to the API server.
            on_review: is told how each review ended; answers from memory are none.
        """
        self._reviewer = reviewer
        self._audience = audience
        self._clock = clock
        self._limits = limits or ReviewLimits()
        self._on_review = on_review
        self._places = asyncio.Semaphore(self._limits.at_once)
        self._good = TimedCache[ServiceAccount](GOOD_SECONDS, _REMEMBERED)
        self._bad = TimedCache[str](BAD_SECONDS, _REMEMBERED)
        self._asking: dict[bytes, asyncio.Task[ServiceAccount]] = {}

    async def service_account(self, token: str) -> ServiceAccount:
        """Return the ServiceAccount that a token stands for.

        Raises:
            Unauthenticated: The API server does not accept the token for our audience.
            ReviewUnavailable: The API server cannot be asked; nothing is remembered of that.
        """
        if not token:  # to the API server a review of no token is an error of ours
            raise Unauthenticated("there is no token")
        key = hashlib.sha256(token.encode()).digest()
        now = self._clock()
        account = self._good.get(key, now)
        if account is not None:
            return account
        why = self._bad.get(key, now)
        if why is not None:
            raise _refused(why)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, token))
        return await asyncio.shield(asking)  # a caller that leaves takes no answer from the others

    async def _ask(self, key: bytes, token: str) -> ServiceAccount:
        try:
            account = review_object.account(await self._answer(token), self._audience)
        except review_object.Rejected as error:
            self._bad.put(key, str(error), self._clock())
            self._on_review("refused")
            raise _refused(str(error)) from error
        except ReviewUnavailable:
            self._on_review("unavailable")
            raise
        finally:
            del self._asking[key]
        self._good.put(key, account, self._clock())
        self._on_review("accepted")
        return account

    async def _answer(self, token: str) -> object:
        try:
            async with asyncio.timeout(self._limits.seconds), self._places:
                return await self._reviewer.review(review_object.request(token, self._audience))
        except TimeoutError as error:
            raise ReviewUnavailable("the API server is too slow, so no token can be checked") from error


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated("the API server does not vouch for this token; send the pod's own, unexpired one", why)
