"""What is asked of NATS, as failures are counted: a closed list. Pure, and cheap to import."""

from enum import StrEnum


class Operation(StrEnum):
    """One kind of request."""

    CONNECT = "connect"
    CREATE = "create"
    ADD = "add"
    GET = "get"
    PUT = "put"
    LIST = "list"

    @property
    def is_write(self) -> bool:
        """Whether it succeeds only where the server can keep what it is told."""
        return self in _WRITES


_WRITES = frozenset({Operation.CREATE, Operation.ADD, Operation.PUT})
