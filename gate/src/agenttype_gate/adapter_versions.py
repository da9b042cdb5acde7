"""The versions of one adapter while a new one is rolled out to the pods. Pure.

The gate and every sidecar read their own documents, and each is refreshed separately, within about a minute. So for a
while a caller may ask for a version that the gate's document no longer has, or does not have yet. An old version is
still served, a new one is answered with "warming"; in neither case does a caller get an alias that is not its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agenttype_api.gate_policy import WantedAdapter


@dataclass(frozen=True)
class ReplacedVersion:
    """A version that another version of its alias has replaced, and until when (monotonic seconds) it is kept."""

    adapter: WantedAdapter
    due: float


def alias(served_name: str) -> str:
    """Return the part of `alias@digest12` that versions share; empty if it is not an adapter's name."""
    name, at, _ = served_name.partition("@")
    return name if at else ""


def is_version_of(served_name: str, names: Iterable[str]) -> bool:
    """Return whether a name is a version of an adapter of which `names` contains any version."""
    own = alias(served_name)
    return bool(own) and own in {alias(name) for name in names}


def replaced(
    wanted: Mapping[str, WantedAdapter],
    before: Mapping[str, WantedAdapter],
    known: Mapping[str, ReplacedVersion],
    due: float,
) -> dict[str, ReplacedVersion]:
    """Return the replaced versions after a new document.

    Args:
        wanted: what the new document wants, by served name.
        before: what the previous document wanted.
        known: the replaced versions until now.
        due: until when newly replaced versions are kept.
    """
    going = {name: ReplacedVersion(adapter, due) for name, adapter in before.items()}
    return {
        name: version
        for name, version in {**known, **going}.items()
        if name not in wanted and is_version_of(name, wanted)
    }


def kept(versions: Mapping[str, ReplacedVersion], loaded: Iterable[str], room: int, now: float) -> list[WantedAdapter]:
    """Return the replaced versions to keep: loaded ones whose time is not over, the latest `room` of them."""
    here = set(loaded)
    staying = [name for name, version in versions.items() if name in here and version.due > now]
    latest = sorted(staying, key=lambda name: versions[name].due)[-room:] if room > 0 else []
    return [versions[name].adapter for name in latest]
