"""A NATS client that requires TLS, for a URL with tls://."""

from nats.aio.client import Client
from nats.errors import SecureConnWantedError


class TlsClient(Client):
    """Sends nothing to a server that does not begin TLS.

    The library upgrades only if the server asks for it. An impostor could leave that out, and would get the token in
    plain text and be believed.
    """

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise SecureConnWantedError
        return super()._connect_command()
