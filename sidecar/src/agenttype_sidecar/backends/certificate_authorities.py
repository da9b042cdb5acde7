"""The certificate authorities that verify backends: the public ones, or the one that a backend's policy names.

Names and certificates are always verified. An authority's file is read again when it changes, and connections verified
by an earlier authority are not used for further calls.
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

#: How long an authority is used before its file is checked again.
LOOK_SECONDS: Final = 0.5
#: How long calls under an earlier authority may go on; no default deadline is longer.
_DRAIN_SECONDS: Final = 1800.0
#: OpenSSL's verification errors in words.
_VERIFY_ERRORS: Final = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "its authority is not one that we trust",
    20: "its authority is not one that we trust",
    21: "its authority is not one that we trust",
    62: "it is for another host name",
    64: "it is for another address",
}


class _CachedClient(NamedTuple):
    checked: float
    file: WatchedFile
    client: Client


class Authorities:
    """Keeps a client for each authority."""

    def __init__(self, client: Client, folder: Path) -> None:
        """Use `client` for the public authorities, and files in `folder` for others."""
        self._client = client
        self._folder = folder
        self._cache: dict[str, _CachedClient] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def client(self, backend: Backend) -> Client:
        """Return the client that trusts the authority of the backend's policy.

        Raises:
            CredentialUnavailable: The authority's file cannot be read, or holds no certificate.
        """
        name = backend.ca_file
        if name is None or not backend.url.startswith("https:"):
            return self._client
        cached, now = self._cache.get(name), time.monotonic()
        if cached is not None and now < cached.checked + LOOK_SECONDS:
            return cached.client
        file = WatchedFile(self._folder / name) if cached is None else cached.file
        if not file.has_changed() and cached is not None:
            client = cached.client
        else:
            try:
                client = Client(tls=ssl.create_default_context(cafile=str(file.path)))
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                file.forget()
                message = "the certificate authority of the model's backend cannot be read"
                raise CredentialUnavailable(message) from error
            if cached is not None:
                self._retire(cached.client)
        self._cache[name] = _CachedClient(now, file, client)
        return client

    async def close(self) -> None:
        """Close the clients that were created here."""
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)
        for cached in self._cache.values():
            await cached.client.close()

    def _retire(self, client: Client) -> None:
        task = asyncio.ensure_future(_end(client))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _end(client: Client) -> None:
    """Close a client once its calls have had time to end."""
    try:
        await asyncio.sleep(_DRAIN_SECONDS)
    finally:
        await client.close()


def refused(error: UpstreamError) -> CertificateRefused | None:
    """Return the refusal for a connection that failed because of the certificate, None if it failed otherwise."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        verdict = _VERIFY_ERRORS.get(cause.verify_code, "it cannot be verified")
        return CertificateRefused(f"the certificate of the model's backend is refused: {verdict}")
    if isinstance(cause, ssl.SSLError):
        return CertificateRefused("the model's backend has no certificate to show: it does not speak TLS as we do")
    return None
