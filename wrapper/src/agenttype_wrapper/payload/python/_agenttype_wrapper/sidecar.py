"""Where the sidecar listens: the only address that a header of ours may go to."""

LOOPBACK = ("127.0.0.1", "localhost")


class Sidecar:
    """The sidecar's base URL, and whether a call goes there.

    Raises:
        ValueError: the URL is not of the form `http://host:port`.
    """

    def __init__(self, url: str) -> None:
        scheme, found, rest = url.partition("://")
        if not found or scheme not in ("http", "https"):
            raise ValueError("not an http URL")
        authority = rest.partition("/")[0]
        if authority.startswith("["):
            host, _, port = authority[1:].partition("]")
            port = port[1:]
        else:
            host, _, port = authority.partition(":")
        self.url = url.rstrip("/")
        self._hosts = LOOPBACK if host in LOOPBACK else (host,)
        self._port = int(port) if port else default_port(scheme)

    def listens_at(self, host: str, port: int) -> bool:
        """Say whether this host and port are the sidecar's."""
        return port == self._port and host in self._hosts


def default_port(scheme: str) -> int:
    """Return the port of a URL that names none."""
    return 443 if scheme == "https" else 80
