"""A client of NATS that speaks TLS or not at all, where the server's URL says tls://."""

from nats.aio.client import Client
from nats.errors import SecureConnWantedError


class TlsClient(Client):
    """Says nothing to a server that does not begin TLS.

    The library upgrades where the server asks for it. An impostor in the server's place would only have to leave that
    out, to be told the token in plain text and to be believed.
    """

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise SecureConnWantedError
        return super()._connect_command()
