"""Versions of one adapter, while the pods that use it learn of a new one. Pure.

The gate and every sidecar read documents of their own, and each is refreshed in its own time, within about a minute.
So for a while a caller asks for a version that the gate's document does not have any more, or not yet. The one is
served on, the other answered with "warming"; neither gives a caller an alias that is not its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agenttype_api.gate_policy import WantedAdapter


@dataclass(frozen=True)
class ReplacedVersion:
    """A version that another one of the same alias has replaced, and until when (monotonic seconds) it is kept."""

    adapter: WantedAdapter
    due: float


def alias(served_name: str) -> str:
    """Return the part of `alias@digest12` that versions share; empty for what is no adapter's name."""
    name, at, _ = served_name.partition("@")
    return name if at else ""


def is_version_of(served_name: str, names: Iterable[str]) -> bool:
    """Return whether a name is a version of an adapter of which `names` hold some version."""
    own = alias(served_name)
    return bool(own) and own in {alias(name) for name in names}


def replaced(
    wanted: Mapping[str, WantedAdapter],
    before: Mapping[str, WantedAdapter],
    known: Mapping[str, ReplacedVersion],
    due: float,
) -> dict[str, ReplacedVersion]:
    """Return what a new document leaves replaced.

    Args:
        wanted: what it wants, by served name.
        before: what the document before wanted.
        known: what that one had replaced.
        due: until when those that go now are kept.
    """
    going = {name: ReplacedVersion(adapter, due) for name, adapter in before.items()}
    return {
        name: version
        for name, version in {**known, **going}.items()
        if name not in wanted and is_version_of(name, wanted)
    }


def kept(versions: Mapping[str, ReplacedVersion], loaded: Iterable[str], room: int, now: float) -> list[WantedAdapter]:
    """Return which replaced versions stay: loaded ones whose time is not over, the latest `room` of them."""
    here = set(loaded)
    staying = [name for name, version in versions.items() if name in here and version.due > now]
    latest = sorted(staying, key=lambda name: versions[name].due)[-room:] if room > 0 else []
    return [versions[name].adapter for name in latest]
