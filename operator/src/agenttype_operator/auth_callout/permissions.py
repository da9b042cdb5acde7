"""The permissions of a sidecar's connection to NATS, from its ServiceAccount: pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agenttype_api import keys, store_names
from agenttype_api.v1alpha1 import Window

from agenttype_operator.kube.kinds import Raw

_USER_PREFIX: Final = "system:serviceaccount:"
_GET: Final = "$JS.API.DIRECT.GET"


class Denied(Exception):  # noqa: N818 — an answer
    """The connection is refused; the message says why, for the log."""


@dataclass(frozen=True)
class Caller:
    """An agent's sidecar, known by its ServiceAccount, which has the agent's name."""

    namespace: str
    agent: str


@dataclass(frozen=True)
class Permissions:
    """Subjects that a connection may use."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def caller(review: Raw) -> Caller:
    """Read the answer to a TokenReview for the store's audience.

    Raises:
        Denied: the API server does not vouch for the token, for this audience, or it is no ServiceAccount's.
    """
    status = review.get("status") or {}
    if not status.get("authenticated"):
        raise Denied(str(status.get("error") or "the token is not valid"))
    if keys.NATS_AUDIENCE not in (status.get("audiences") or ()):
        raise Denied("the token is for another audience")
    user = str((status.get("user") or {}).get("username", ""))
    namespace, colon, name = user.removeprefix(_USER_PREFIX).partition(":")
    # Names become parts of subjects: one with a dot or a wildcard would stand for more than itself.
    if not user.startswith(_USER_PREFIX) or not colon or not (_plain(namespace) and _plain(name)):
        raise Denied(f"{user!r} is no agent's ServiceAccount")
    return Caller(namespace, name)


def permissions(who: Caller) -> Permissions:
    """Return what a sidecar may use: its agent's accounts, its namespace's budgets, and an inbox of its agent's own.

    One right is wider: who looks at all entries of an account names them in a message's body, which NATS cannot judge;
    so the entries of other agents of the namespace, which are names and numbers, can be read, but not written.
    """
    prefixes = store_names.accounts(who.namespace, who.agent)
    return Permissions(
        publish=tuple(
            subject
            for window in store_names.SHARED
            for subject in (*_subjects(window, who.namespace, prefixes), _look(window, who.namespace))
        ),
        subscribe=(f"{store_names.inbox(who.namespace, who.agent)}.>",),
    )


def _subjects(window: Window, namespace: str, prefixes: tuple[str, ...]) -> Iterator[str]:
    """Add to counters and read them, write and read entries."""
    for prefix in prefixes:
        counters = f"{store_names.COUNTERS}.{window.lower()}.{prefix}.>"
        entries = f"{store_names.ENTRIES}.{window.lower()}.{prefix}.>"
        yield from (counters, f"{_GET}.{store_names.counter_stream(window)}.{counters}")
        yield from (entries, f"{_GET}.{store_names.entry_stream(window, namespace)}.{entries}")


def _look(window: Window, namespace: str) -> str:
    return f"{_GET}.{store_names.entry_stream(window, namespace)}"


def _plain(name: str) -> bool:
    return bool(name) and all(character.isascii() and (character.isalnum() or character == "-") for character in name)
