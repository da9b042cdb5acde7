"""The permissions of a sidecar's connection to NATS, from its ServiceAccount: pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agenttype_api import store_names
from agenttype_api.v1alpha1 import Window
from agenttype_authn.service_account import ServiceAccount

_GET: Final = "$JS.API.DIRECT.GET"


class Denied(Exception):  # noqa: N818 — an answer
    """The connection is refused; the message says why, for the log."""


@dataclass(frozen=True)
class Permissions:
    """Subjects that a connection may use."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions(account: ServiceAccount) -> Permissions:
    """Return what a sidecar may use: its agent's accounts, its namespace's budgets, and an inbox of its agent's own.

    One right is wider: who looks at all entries of an account names them in a message's body, which NATS cannot judge;
    so the entries of other agents of the namespace, which are names and numbers, can be read, but not written.

    Raises:
        Denied: the account cannot be an agent's.
    """
    # Names become parts of subjects: one with a dot or a wildcard would stand for more than itself.
    if not (_plain(account.namespace) and _plain(account.name)):
        raise Denied(f"{account} is no agent's ServiceAccount")
    prefixes = store_names.accounts(account.namespace, account.name)
    return Permissions(
        publish=tuple(
            subject
            for window in store_names.SHARED
            for subject in (*_subjects(window, account.namespace, prefixes), _look(window, account.namespace))
        ),
        subscribe=(f"{store_names.inbox(account.namespace, account.name)}.>",),
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
