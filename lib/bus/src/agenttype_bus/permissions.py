"""What a connection to NATS may do, from who it is: pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agenttype_bus import streams, subjects

_GET: Final = "$JS.API.DIRECT.GET"


@dataclass(frozen=True)
class Permissions:
    """Subjects that a connection may use."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def of_sidecar(namespace: str, agent: str) -> Permissions:
    """Return what a sidecar may use: its agent's accounts, its namespace's budgets, and an inbox of its agent's own.

    One right is wider: a client that lists the entries of an account names them in a message's body, which NATS cannot
    judge; so the entries of other agents of the namespace, which are names and numbers, can be read, but not written.

    Raises:
        InvalidName: a name would stand for more than itself in a subject.
    """
    prefixes = subjects.account_prefixes(subjects.check_token(namespace), subjects.check_token(agent))
    return Permissions(
        publish=tuple(
            subject
            for window in streams.WINDOWS
            for subject in (*_account_subjects(window, namespace, prefixes), _list(window, namespace))
        ),
        subscribe=(f"{subjects.inbox(namespace, agent)}.>",),
    )


def _account_subjects(window: str, namespace: str, prefixes: tuple[str, ...]) -> Iterator[str]:
    """Add to counters and read them, write and read entries."""
    for prefix in prefixes:
        counters = f"{subjects.COUNTERS}.{window}.{prefix}.>"
        entries = f"{subjects.ENTRIES}.{window}.{prefix}.>"
        yield from (counters, f"{_GET}.{streams.counter_stream(window)}.{counters}")
        yield from (entries, f"{_GET}.{streams.entry_stream(window, namespace)}.{entries}")


def _list(window: str, namespace: str) -> str:
    return f"{_GET}.{streams.entry_stream(window, namespace)}"
