"""The streams that keep the subjects of shared limits, and their settings as JetStream's API takes them. Pure.

Every window has a stream of counters, and one of entries for each namespace: a client that lists entries names them in
a message's body, which NATS cannot judge, as it can the name of the stream::

    AT_BUDGET_DAY             at.bud.day.>
    AT_LEASE_DAY_<namespace>  at.lease.day.<namespace>.>

Windows that end are forgotten long after, so that a clock that is set back cannot spend one again.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from agenttype_bus.subjects import COUNTERS, ENTRIES

_SECOND: Final = 10**9
_DAY: Final = 86400
#: How long an ended window is kept, in seconds; so long may a clock be set back without spending one again.
#: 0: for ever.
_KEPT: Final[Mapping[str, int]] = {
    "minute": _DAY,
    "hour": 7 * _DAY,
    "day": 40 * _DAY,
    "month": 400 * _DAY,
    "forever": 0,
}
#: Windows whose limits pods can share.
WINDOWS: Final = tuple(_KEPT)
#: Seconds for which the server knows an addition that is repeated.
_REMEMBERED: Final = 120
#: Additions of an account that the server keeps: it knows a repeated one, after it was restarted, by what is kept.
_REPEATED: Final = 16


class Stream(NamedTuple):
    """A stream by its name, and how it is made where it is absent."""

    name: str
    settings: Mapping[str, Any]


def counter_stream(window: str) -> str:
    """Name of the stream of a window's counters."""
    return f"AT_BUDGET_{window.upper()}"


def entry_stream(window: str, namespace: str) -> str:
    """Name of the stream of a namespace's entries in a window."""
    return f"AT_LEASE_{window.upper()}_{namespace}"


def counters(window: str) -> Stream:
    """Return a window's stream of counters."""
    settings = {
        "subjects": [f"{COUNTERS}.{window.lower()}.>"],
        "allow_msg_counter": True,
        "max_msgs_per_subject": _REPEATED,
        "duplicate_window": _REMEMBERED * _SECOND,
    }
    return Stream(counter_stream(window), _common(window) | settings)


def entries(window: str, namespace: str) -> Stream:
    """Return a namespace's stream of entries in a window."""
    settings = {"subjects": [f"{ENTRIES}.{window.lower()}.{namespace}.>"], "allow_msg_ttl": True}
    return Stream(entry_stream(window, namespace), _common(window) | settings)


def _common(window: str) -> dict[str, Any]:
    return {
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_msgs_per_subject": 1,
        "allow_direct": True,
        "max_age": _KEPT[window.lower()] * _SECOND,
    }
