"""What can go wrong between us and NATS; a class is a decision.

BusError
├── Unavailable         NATS did not answer, or refused: what was asked may or may not have happened, even later
│   └── NoResponders    no server keeps this subject: make its stream, then ask again
├── WrongRevision       another writer was first: nothing happened, and nothing will; read again
├── InvalidName         a name cannot be one part of a subject: refuse it
└── UnreadableRequest   a message is no authorization request: leave it unanswered
"""


class BusError(Exception):
    """The base of all."""


class Unavailable(BusError):  # noqa: N818 — the class is the decision
    """NATS did not answer in time, or refused; the message says why."""


class NoResponders(Unavailable):
    """No server keeps this subject, yet or at all."""


class WrongRevision(BusError):  # noqa: N818
    """The entry has another revision than the one to be replaced."""


class InvalidName(BusError):  # noqa: N818
    """A name with a dot, a space or a wildcard would stand for more than itself."""


class UnreadableRequest(BusError):  # noqa: N818
    """A message that is no authorization request of a NATS server."""
