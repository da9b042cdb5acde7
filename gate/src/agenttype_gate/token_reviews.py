"""Who a token stands for, remembered for a while.

Answers are kept by the token's sha256, never the token. A good one is kept 60 s: so long does a revoked token still
open the door. A bad one is kept 5 s. The two have separate caches, so that made-up tokens push no good one out.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from agenttype_gate.errors import ReviewUnavailable, TokenRefused
from agenttype_gate.metrics import Metrics

GOOD_SECONDS: Final = 60.0
BAD_SECONDS: Final = 5.0
_REMEMBERED: Final = 4096

Review = Callable[[str], Awaitable[str | None]]


class _TimedCache:
    """Answers with a time to live, the oldest dropped first."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answers: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    def get(self, key: bytes, now: float) -> str | None:
        due, answer = self._answers.get(key, (0.0, ""))
        return answer if now < due else None

    def put(self, key: bytes, answer: str, now: float) -> None:
        self._answers[key] = (now + self._seconds, answer)
        self._answers.move_to_end(key)
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)


class TokenReviews:
    """The cache; calls with one token at one time share one review."""

    def __init__(self, review: Review, clock: Callable[[], float], metrics: Metrics) -> None:
        self._review = review
        self._clock = clock
        self._metrics = metrics
        self._good = _TimedCache(GOOD_SECONDS)
        self._bad = _TimedCache(BAD_SECONDS)
        self._asking: dict[bytes, asyncio.Task[str | None]] = {}

    async def account(self, token: str) -> str:
        """Return the ServiceAccount `namespace/name` of a token.

        Raises:
            TokenRefused: The API server does not vouch for it, for our audience.
            ReviewUnavailable: The API server cannot be asked; nothing is remembered of that.
        """
        key = hashlib.sha256(token.encode()).digest()
        now = self._clock()
        account = self._good.get(key, now)
        if account is None and self._bad.get(key, now) is None:
            account = await self._asked(key, token)
        if account is None:
            raise TokenRefused("the API server does not vouch for this token; send the pod's own, unexpired one")
        return account

    async def _asked(self, key: bytes, token: str) -> str | None:
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, token))
        return await asyncio.shield(asking)  # a caller that leaves takes no answer from the others

    async def _ask(self, key: bytes, token: str) -> str | None:
        try:
            account = await self._review(token)
        except ReviewUnavailable:
            self._metrics.reviewed("unavailable")
            raise
        finally:
            del self._asking[key]
        if account is None:
            self._metrics.reviewed("refused")
            self._bad.put(key, "refused", self._clock())
        else:
            self._metrics.reviewed("accepted")
            self._good.put(key, account, self._clock())
        return account
