"""Whom we believe that a server is who it says: the public authorities, or the one that a backend's policy names.

Names and certificates are verified always. An authority's file is read again when it changes, and connections that an
earlier one vouched for are lent to no further call.
"""

import asyncio
import ssl
import time
from pathlib import Path
from typing import Final, NamedTuple

from agenttype_api.policy import Backend
from agenttype_proxy.client import Client
from agenttype_proxy.errors import UpstreamError
from agenttype_runtime.watched_file import WatchedFile

from agenttype_sidecar.errors import CertificateRefused, CredentialUnavailable

#: How long an authority is used without a look at its file.
LOOK_SECONDS: Final = 0.5
#: How long calls of an earlier authority may go on; no call's deadlines are longer by default.
_DRAIN_SECONDS: Final = 1800.0
#: What OpenSSL's verdicts mean to somebody who can change something.
_VERDICTS: Final = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "its authority is not one that we trust",
    20: "its authority is not one that we trust",
    21: "its authority is not one that we trust",
    62: "it is for another host name",
    64: "it is for another address",
}


class _KeptClient(NamedTuple):
    looked: float
    file: WatchedFile
    client: Client


class Authorities:
    """Gives out a client for each authority."""

    def __init__(self, client: Client, folder: Path) -> None:
        """Use `client` for the public authorities, and files of `folder` for others."""
        self._client = client
        self._folder = folder
        self._kept: dict[str, _KeptClient] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def client(self, backend: Backend) -> Client:
        """Return the client that believes what the backend's policy says.

        Raises:
            CredentialUnavailable: The authority's file cannot be read, or holds no certificate.
        """
        name = backend.ca_file
        if name is None or not backend.url.startswith("https:"):
            return self._client
        kept, now = self._kept.get(name), time.monotonic()
        if kept is not None and now < kept.looked + LOOK_SECONDS:
            return kept.client
        file = WatchedFile(self._folder / name) if kept is None else kept.file
        if not file.has_changed() and kept is not None:
            client = kept.client
        else:
            try:
                client = Client(tls=ssl.create_default_context(cafile=str(file.path)))
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                file.forget()
                raise CredentialUnavailable(
                    "the certificate authority of the model's backend cannot be read"
                ) from error
            if kept is not None:
                self._retire(kept.client)
        self._kept[name] = _KeptClient(now, file, client)
        return client

    async def close(self) -> None:
        """Close the clients that were made here."""
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)
        for kept in self._kept.values():
            await kept.client.close()

    def _retire(self, client: Client) -> None:
        task = asyncio.ensure_future(_end(client))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _end(client: Client) -> None:
    """Close a client once its calls have had their time."""
    try:
        await asyncio.sleep(_DRAIN_SECONDS)
    finally:
        await client.close()


def refused(error: UpstreamError) -> CertificateRefused | None:
    """Return what to answer where a connection failed over who the server is, None where it failed otherwise."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        verdict = _VERDICTS.get(cause.verify_code, "it cannot be verified")
        return CertificateRefused(f"the certificate of the model's backend is refused: {verdict}")
    if isinstance(cause, ssl.SSLError):
        return CertificateRefused("the model's backend has no certificate to show: it does not speak TLS as we do")
    return None
