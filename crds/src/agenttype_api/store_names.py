"""Where shared limits lie in NATS, and which part of it is whose.

An account (`policy.Limit.account`, then what is counted) is a row of subject tokens that begins with its namespace,
then `agent.<agent>` or `budget.<budget>`: what a sidecar may write is a prefix. Every window has a stream of counters,
and one of entries for each namespace: whoever looks at entries names them in a message's body, which NATS cannot judge,
as it can the name of the stream::

    AT_BUDGET_DAY             at.bud.day.<account>.<index>            counters
    AT_LEASE_DAY_<namespace>  at.lease.day.<account>.<index>.<name>   entries
"""

from collections.abc import Mapping
from typing import Any, Final

from agenttype_api.v1alpha1 import Window

COUNTERS: Final = "at.bud"
ENTRIES: Final = "at.lease"
#: The account of the server in which all of it lies.
SERVER_ACCOUNT: Final = "AGENTTYPE"
#: Windows whose limits can be shared: a run is the life of one pod.
SHARED: Final = tuple(window for window in Window if window is not Window.RUN)

_SECOND: Final = 10**9
_DAY: Final = 86400
#: How long an ended window is kept, in seconds; so long may a clock be set back without spending one again.
_KEPT: Final[Mapping[Window, int]] = {
    Window.MINUTE: _DAY,
    Window.HOUR: 7 * _DAY,
    Window.DAY: 40 * _DAY,
    Window.MONTH: 400 * _DAY,
}
#: Seconds for which the server knows an addition that is repeated.
REMEMBERED: Final = 120
#: Additions of an account that the server keeps: it knows a repeated one, after it was restarted, by what is kept.
_REPEATED: Final = 16


def counter_stream(window: Window) -> str:
    """Name of the stream of a window's counters."""
    return f"AT_BUDGET_{window.upper()}"


def entry_stream(window: Window, namespace: str) -> str:
    """Name of the stream of a namespace's entries in a window."""
    return f"AT_LEASE_{window.upper()}_{namespace}"


def counters(window: Window) -> dict[str, Any]:
    """Return the settings of a window's stream of counters, as JetStream's API takes them."""
    return _stream(window) | {
        "name": counter_stream(window),
        "subjects": [f"{COUNTERS}.{window.lower()}.>"],
        "allow_msg_counter": True,
        "max_msgs_per_subject": _REPEATED,
        "duplicate_window": REMEMBERED * _SECOND,
    }


def entries(window: Window, namespace: str) -> dict[str, Any]:
    """Return the settings of a namespace's stream of entries."""
    return _stream(window) | {
        "name": entry_stream(window, namespace),
        "subjects": [f"{ENTRIES}.{window.lower()}.{namespace}.>"],
        "allow_msg_ttl": True,
    }


def _stream(window: Window) -> dict[str, Any]:
    return {
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_msgs_per_subject": 1,
        "allow_direct": True,
        "max_age": _KEPT.get(window, 0) * _SECOND,
    }


def inbox(namespace: str, agent: str) -> str:
    """Return the prefix under which an agent's sidecars get answers; no other agent may listen there."""
    return f"_INBOX_{namespace}_{agent}"


def accounts(namespace: str, agent: str) -> tuple[str, str]:
    """Return the prefixes of the accounts that an agent's sidecars may use: its own, and its namespace's budgets."""
    return f"{namespace}.agent.{agent}", f"{namespace}.budget"
