"""Where shared limits lie in NATS, and which part of it is whose. Pure.

An account is a row of subject tokens that begins with its namespace, then `agent.<agent>` or `budget.<budget>`, then
what is counted: what a sidecar may write is a prefix. Every window of time has an index::

    at.bud.day.<account>.<index>            the counter
    at.lease.day.<account>.<index>.<name>   an entry

The streams that keep them are in `streams`.
"""

from dataclasses import dataclass
from typing import Final

from agenttype_bus.errors import InvalidName

COUNTERS: Final = "at.bud"
ENTRIES: Final = "at.lease"
#: Stands for any name.
ANY: Final = "*"
#: The account of the server in which all of it lies.
SERVER_ACCOUNT: Final = "AGENTTYPE"


@dataclass(frozen=True, slots=True)
class AccountSubjects:
    """The subjects of one account in one window."""

    key: str
    """The account, from `account_key`."""
    window: str
    """Minute, Hour, …; the case does not matter."""
    index: int
    """Which of these windows."""

    @property
    def namespace(self) -> str:
        """Whose it is."""
        return self.key.partition(".")[0]

    @property
    def counter(self) -> str:
        """Where its counter lies."""
        return f"{COUNTERS}.{self.window.lower()}.{self.key}.{self.index}"

    def entry(self, name: str) -> str:
        """Where its entry of this name lies; with `ANY`, all its entries."""
        return f"{ENTRIES}.{self.window.lower()}.{self.key}.{self.index}.{name}"


def account_key(account: str, resource: str, window: str) -> str:
    """Return the key of an account: a limit that begins to count something else is another account.

    Args:
        account: as the policy has it: `<namespace>.agent.<agent>.…` or `<namespace>.budget.<budget>.…`.
        resource: what is counted.
        window: how long it counts before it starts again.
    """
    return f"{account}.{resource}.{window}".lower()


def account_prefixes(namespace: str, agent: str) -> tuple[str, str]:
    """Return the prefixes of the accounts that an agent's sidecars may use: its own, and its namespace's budgets."""
    return f"{namespace}.agent.{agent}", f"{namespace}.budget"


def inbox(namespace: str, agent: str) -> str:
    """Return the prefix under which an agent's sidecars get answers; no other agent may listen there."""
    return f"_INBOX_{namespace}_{agent}"


def check_token(name: str) -> str:
    """Return a name that is one part of a subject and nothing more.

    Raises:
        InvalidName: It has a dot, a space or a wildcard, or is empty.
    """
    if name and all(character.isascii() and (character.isalnum() or character == "-") for character in name):
        return name
    raise InvalidName(f"{name!r} cannot be one part of a subject")
