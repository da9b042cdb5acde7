"""Our credentials for backends, read from files that are rotated from outside."""

import time
from pathlib import Path
from typing import Final, NamedTuple

from agenttype_api.policy import Backend, Credential, WireProtocol
from agenttype_proxy.messages import Headers

from agenttype_sidecar.errors import CredentialUnavailable

#: How long a value is used before its file is read again; short for a token that is replaced an hour before it expires.
LOOK_SECONDS: Final = 0.5


class _CachedSecret(NamedTuple):
    until: float
    value: bytes


class Credentials:
    """Reads the token and the keys repeatedly, because a rotation is not announced."""

    def __init__(self, token: Path, folder: Path) -> None:
        """Take the pod's token from `token` and API keys from files of `folder`."""
        self._token = token
        self._folder = folder
        self._cache: dict[Path, _CachedSecret] = {}

    def headers(self, backend: Backend, protocol: WireProtocol) -> Headers:
        """Return the header fields that authenticate us to a backend.

        Raises:
            CredentialUnavailable: The file is missing or empty.
        """
        match backend.credential:
            case Credential.NONE:
                return []
            case Credential.POD_TOKEN:
                return [(b"authorization", b"Bearer " + self._read(self._token))]
            case Credential.API_KEY:
                key = self._read(self._folder / (backend.credential_file or backend.name))
                if protocol is WireProtocol.ANTHROPIC:
                    return [(b"x-api-key", key)]
                return [(b"authorization", b"Bearer " + key)]

    def secret(self, file: str) -> bytes:
        """Return the content of a file in the credentials folder, such as a tool server's token.

        Raises:
            CredentialUnavailable: The file is missing or empty.
        """
        return self._read(self._folder / file)

    def _read(self, path: Path) -> bytes:
        now = time.monotonic()
        cached = self._cache.get(path)
        if cached is not None and now < cached.until:
            return cached.value
        try:
            value = path.read_bytes().strip()
        except OSError as error:
            raise CredentialUnavailable("the credential cannot be read") from error
        if not value:
            raise CredentialUnavailable("the credential is empty")
        self._cache[path] = _CachedSecret(now + LOOK_SECONDS, value)
        return value
