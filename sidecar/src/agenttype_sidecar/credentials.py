"""Our proof for a backend, read from files that others rotate."""

import os
from pathlib import Path
from typing import NamedTuple

from agenttype_api.policy import Backend, Credential, WireProtocol
from agenttype_proxy.messages import Headers

from agenttype_sidecar.errors import CredentialUnavailable


class _Kept(NamedTuple):
    inode: int
    modified: int
    value: bytes


class Credentials:
    """Reads the token and the keys; a file is read again when it has changed."""

    def __init__(self, token: Path, folder: Path) -> None:
        """Take the pod's token from `token` and API keys from files of `folder`."""
        self._token = token
        self._folder = folder
        self._kept: dict[Path, _Kept] = {}

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

    def _read(self, path: Path) -> bytes:
        try:
            found = os.stat(path)  # noqa: PTH116 — once per call; Path.stat costs twice as much
            kept = self._kept.get(path)
            if kept is None or (kept.inode, kept.modified) != (found.st_ino, found.st_mtime_ns):
                kept = self._kept[path] = _Kept(found.st_ino, found.st_mtime_ns, path.read_bytes().strip())
        except OSError as error:
            raise CredentialUnavailable("the credential for the model's backend cannot be read") from error
        if not kept.value:
            raise CredentialUnavailable("the credential for the model's backend is empty")
        return kept.value
