"""The ServiceAccount that a token stands for: pure."""

from typing import Final, NamedTuple

_PREFIX: Final = "system:serviceaccount:"


class ServiceAccount(NamedTuple):
    """A pod's identity; as a string it is `namespace/name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def from_username(username: object) -> ServiceAccount | None:
    """Read a username of Kubernetes; None where it is no ServiceAccount's."""
    if not isinstance(username, str) or not username.startswith(_PREFIX):
        return None
    namespace, _, name = username.removeprefix(_PREFIX).partition(":")
    return ServiceAccount(namespace, name) if namespace and name else None
