"""Admits calls at the rates of the policy: calls that come too fast are refused, calls beyond the concurrency wait."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from agenttype_api.policy import RateLimits, WireProtocol
from agenttype_proxy.messages import Headers
from prometheus_client import CollectorRegistry, Counter

from agenttype_sidecar.errors import RateLimited
from agenttype_sidecar.ratelimit.concurrency import ConcurrencyLimit
from agenttype_sidecar.ratelimit.token_bucket import TokenBucket

#: Seconds that a call waits for a place before it is refused; shorter than callers wait for an answer.
MAX_WAIT: Final = 10.0
#: Seconds after which a call that got no place may try again.
_RETRY_AFTER: Final = 1.0
_BYTES_PER_TOKEN: Final = 4
#: Tokens assumed for an answer without a bound, until the first answers give a mean.
_INITIAL_MEAN: Final = 256.0
_MEAN_WEIGHT: Final = 0.1


#: Per protocol, for requests and for tokens: the header names for the limit, the rest, and the time of the reset.
_NAMES: Final = {
    WireProtocol.ANTHROPIC: tuple(
        (
            b"anthropic-ratelimit-%b-limit" % kind,
            b"anthropic-ratelimit-%b-remaining" % kind,
            b"anthropic-ratelimit-%b-reset" % kind,
        )
        for kind in (b"requests", b"tokens")
    ),
    WireProtocol.OPENAI: tuple(
        (b"x-ratelimit-limit-" + kind, b"x-ratelimit-remaining-" + kind, b"x-ratelimit-reset-" + kind)
        for kind in (b"requests", b"tokens")
    ),
}


class TokenEstimate(NamedTuple):
    """What a call may use of the tokens: bytes of its body, and the bound of its answer in tokens, if it has one."""

    size: int
    output: int | None


class RatePermit:
    """One call's share of the rates; `end` gives back what it did not use."""

    __slots__ = ("_ended", "_estimate", "_rates")

    def __init__(self, rates: "Rates", estimate: float) -> None:
        self._rates = rates
        self._estimate = estimate
        self._ended = False

    def end(self, tokens: int, output: int) -> None:
        """Correct the estimate and free the place; a second call changes nothing.

        Args:
            tokens: what the call was charged, input and output.
            output: of these, the output.
        """
        if not self._ended:
            self._ended = True
            self._rates.ended(tokens - self._estimate, output)


class Rates:
    """The rates of one sidecar; the limits come with every call, from the policy that it began with."""

    def __init__(
        self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic, max_wait: float = MAX_WAIT
    ) -> None:
        """Begin with full buckets.

        Args:
            registry: where refusals are counted.
            clock: monotonic seconds.
            max_wait: seconds that a call waits for a place.
        """
        self._clock = clock
        self._max_wait = max_wait
        self._requests: TokenBucket | None = None
        self._tokens: TokenBucket | None = None
        self._concurrency = ConcurrencyLimit()
        self._mean = _INITIAL_MEAN
        self._throttled = Counter(
            "agenttype_ratelimit_throttled", "Calls that a rate limit refused.", ("limit",), registry=registry
        )

    async def admit(self, limits: RateLimits, expected: TokenEstimate) -> RatePermit:
        """Take a call's share of every rate; the permit must be ended with `end`.

        Raises:
            RateLimited: A rate or the concurrency is used up.
        """
        now = self._clock()
        requests = self._requests = _sized(self._requests, limits.requests_per_minute, now)
        tokens = self._tokens = _sized(self._tokens, limits.tokens_per_minute, now)
        self._concurrency.resize(limits.max_concurrent)
        if requests is not None and (wait := requests.wait(1, now)):
            raise self._refused("requests", "requests", requests.size, wait)
        estimate = 0.0 if tokens is None else min(self._estimate(expected), tokens.size)
        if tokens is not None and (wait := tokens.wait(estimate, now)):
            raise self._refused("tokens", "tokens", tokens.size, wait)
        # Taken before the wait for a place, so that waiting calls cannot all count the same tokens as free.
        self._take(1, estimate, now)
        entered = self._concurrency.enter_now()
        if entered:
            return RatePermit(self, estimate)
        try:
            entered = await self._concurrency.enter(self._max_wait)
        finally:
            if not entered:
                self._take(-1, -estimate, self._clock())
        if not entered:
            self._throttled.labels("concurrency").inc()
            raise RateLimited(
                f"this agent may run {limits.max_concurrent} calls at once, and no place became free in time",
                "requests",
                _RETRY_AFTER,
            )
        return RatePermit(self, estimate)

    def ended(self, correction: float, output: int) -> None:
        """Record a call's end; called by `RatePermit`.

        Args:
            correction: tokens that it took beyond its estimate; negative where it took less.
            output: tokens of its answer.
        """
        self._concurrency.leave()
        if output:
            self._mean += _MEAN_WEIGHT * (output - self._mean)
        if self._tokens is not None:
            self._tokens.take(correction, self._clock())

    def headers(self, protocol: WireProtocol) -> Headers:
        """Return what is left of the rates as header fields of the caller's protocol."""
        found: Headers = []
        now = self._clock()
        written = _timestamp if protocol is WireProtocol.ANTHROPIC else _duration
        for (size, left, reset), bucket in zip(_NAMES[protocol], (self._requests, self._tokens), strict=True):
            if bucket is not None:
                rest, full_after = bucket.standing(now)
                found += ((size, b"%d" % bucket.size), (left, b"%d" % rest), (reset, written(full_after)))
        return found

    def _estimate(self, expected: TokenEstimate) -> float:
        return expected.size / _BYTES_PER_TOKEN + (self._mean if expected.output is None else expected.output)

    def _take(self, calls: int, tokens: float, now: float) -> None:
        if self._requests is not None:
            self._requests.take(calls, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)

    def _refused(self, limit: str, kind: str, size: int, wait: float) -> RateLimited:
        self._throttled.labels(limit).inc()
        return RateLimited(f"this agent may use {size} {kind} a minute, and has used them", kind, wait)


def _sized(bucket: TokenBucket | None, size: int | None, now: float) -> TokenBucket | None:
    if size is None:
        return None
    if bucket is None:
        return TokenBucket(size, now)
    if size != bucket.size:
        bucket.resize(size, now)
    return bucket


def _timestamp(seconds: float) -> bytes:
    """Write the time in so many seconds, as Anthropic does."""
    return datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def _duration(seconds: float) -> bytes:
    """Write a duration as OpenAI does: 120ms, 6.5s, 1m0s."""
    if seconds < 1:
        return b"%dms" % round(seconds * 1000)
    minutes, rest = divmod(round(seconds, 1), 60)
    return (f"{minutes:.0f}m" if minutes else "").encode() + f"{rest:g}s".encode()
