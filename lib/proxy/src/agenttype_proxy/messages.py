"""The values that callers of this room pass in: where a call goes, what is sent, and how long it may take."""

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

Headers = list[tuple[bytes, bytes]]
"""Header fields in wire order, names in lower case."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[!-~]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_BASE = re.compile(r"[A-Za-z0-9/._~!$&'()*+,;=:@%-]*")


@dataclass(frozen=True, slots=True)
class Origin:
    """A server that a connection can be opened to; two URLs of one server are equal and share connections.

    Attributes:
        scheme: ``http`` or ``https``.
        host: A name or an address, without the brackets of IPv6.
        port: 1 to 65535.
        base: The path that every target below this origin starts with, without a trailing slash.
    """

    scheme: str
    host: str
    port: int
    base: str = field(default="", compare=False)
    _hash: int = field(init=False, repr=False, compare=False)
    _host: bytes = field(init=False, repr=False, compare=False)
    _base: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute once what every request needs."""
        put = object.__setattr__  # the way to set fields of a frozen dataclass
        put(self, "_hash", hash((self.scheme, self.host, self.port)))
        put(self, "_host", self.authority.encode())
        put(self, "_base", self.base.encode())

    def __hash__(self) -> int:
        return self._hash

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read ``scheme://host[:port][/base]``.

        Raises:
            ValueError: The URL has another scheme, user information, a query, a fragment, or no plain host.
        """
        if not _VISIBLE.fullmatch(url):  # urlsplit would silently drop line breaks
            raise ValueError("the URL must be visible ASCII without blanks")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError("the URL must name a host, and a port from 1 to 65535 if any") from error
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError("the URL must start with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the URL must not carry user information; use a credential reference")
        if "?" in url or "#" in url:
            raise ValueError("the URL must not have a query or a fragment")
        if not parts.hostname or not _HOST.fullmatch(parts.hostname):
            raise ValueError("the URL must name a host in ASCII letters, digits, dots and hyphens")
        if not _BASE.fullmatch(parts.path) or any(step in (".", "..") for step in parts.path.split("/")):
            raise ValueError("the URL's path must be plain, without spaces and without dot segments")
        if port == 0:
            raise ValueError("the URL must name a host, and a port from 1 to 65535 if any")
        return cls(parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme], parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """The value of ``Host``: the default port left out, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def host_field(self) -> bytes:
        """The authority as bytes."""
        return self._host

    def target(self, path: bytes) -> bytes:
        """Put ``path`` (with its query, starting with a slash) below the base."""
        return self._base + path


@dataclass(slots=True)
class Request:
    """A request to send: origin-form target, whole body in memory.

    The client writes ``Host``, ``Content-Length`` and every hop-by-hop field itself; they are ignored here.
    """

    method: bytes
    target: bytes
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a call may take, in seconds.

    Attributes:
        connect: Until there is a usable connection, including the wait for a free one.
        first_byte: From sending the request to the whole response head.
        idle: Between two arrivals of response bytes while a reader waits for them.
        total: From ``send`` to the last byte; None means no limit.
    """

    connect: float
    first_byte: float
    idle: float
    total: float | None
