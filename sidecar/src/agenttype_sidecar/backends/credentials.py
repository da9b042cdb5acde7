"""Our proof for a backend, read from files that others rotate."""

import time
from pathlib import Path
from typing import Final, NamedTuple

from agenttype_api.policy import Backend, Credential, WireProtocol
from agenttype_proxy.messages import Headers

from agenttype_sidecar.errors import CredentialUnavailable

#: How long a value is used without a look at its file: nothing to a token that is replaced an hour before its end.
LOOK_SECONDS: Final = 0.5


class _KeptSecret(NamedTuple):
    until: float
    value: bytes


class Credentials:
    """Reads the token and the keys, again and again: whoever rotates them tells nobody."""

    def __init__(self, token: Path, folder: Path) -> None:
        """Take the pod's token from `token` and API keys from files of `folder`."""
        self._token = token
        self._folder = folder
        self._kept: dict[Path, _KeptSecret] = {}

    def headers(self, backend: Backend, protocol: WireProtocol) -> Headers:
        """Return the header fields that a backend wants.

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
        """Return what a file below the credentials folder holds, such as a tool server's token.

        Raises:
            CredentialUnavailable: The file is missing or empty.
        """
        return self._read(self._folder / file)

    def _read(self, path: Path) -> bytes:
        now = time.monotonic()
        kept = self._kept.get(path)
        if kept is not None and now < kept.until:
            return kept.value
        try:
            value = path.read_bytes().strip()
        except OSError as error:
            raise CredentialUnavailable("the credential cannot be read") from error
        if not value:
            raise CredentialUnavailable("the credential is empty")
        self._kept[path] = _KeptSecret(now + LOOK_SECONDS, value)
        return value
