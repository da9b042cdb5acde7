"""Counters and histograms that every call adds to: plain numbers, made into metric families at a scrape.

The client library's take a lock and check every addition, because of threads. Calls run on one event loop, where that
costs more than the counting.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class PlainCounter(Collector):
    """A counter with labels."""

    def __init__(self, name: str, text: str, labels: Labels, registry: CollectorRegistry) -> None:
        self._counts: dict[Labels, int] = {}
        self._named = (name, text, labels)
        registry.register(self)

    def add(self, labels: Labels, amount: int = 1) -> None:
        """Add an amount, at least 0, under the values of the labels, in their order."""
        self._counts[labels] = self._counts.get(labels, 0) + amount

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        name, text, names = self._named
        family = CounterMetricFamily(name, text, labels=names)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: names are declared once, in one file."""
        return iter(())


class PlainHistogram(Collector):
    """A histogram of seconds with labels, for one event loop."""

    def __init__(
        self, name: str, text: str, labels: Labels, bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        """Begin with nothing observed; `bounds` are the upper bounds of the buckets but the last, ascending."""
        self._bounds = bounds
        self._seen: dict[Labels, _Histogram] = {}
        self._named = (name, text, labels)
        registry.register(self)

    def observe(self, labels: Labels, seconds: float) -> None:
        """Note a duration under the values of the labels, in their order."""
        observed = self._seen.get(labels)
        if observed is None:
            observed = self._seen[labels] = _Histogram(len(self._bounds) + 1)
        observed.buckets[bisect_left(self._bounds, seconds)] += 1
        observed.sum += seconds

    def collect(self) -> Iterator[Metric]:
        """Yield the family; every bucket includes those below it."""
        name, text, names = self._named
        family = HistogramMetricFamily(name, text, labels=names)
        bounds = [*map(str, map(float, self._bounds)), "+Inf"]
        for labels, observed in self._seen.items():
            family.add_metric(labels, list(zip(bounds, accumulate(observed.buckets), strict=True)), observed.sum)
        yield family

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: names are declared once, in one file."""
        return iter(())


class _Histogram:
    """What was observed under one set of labels."""

    __slots__ = ("buckets", "sum")

    def __init__(self, buckets: int) -> None:
        self.buckets = [0] * buckets
        self.sum = 0.0
