"""A certificate authority of one cluster's own, made with openssl; P-256 keys, because they are made in no time."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from typing import TYPE_CHECKING

from cluster.errors import BrokenError, UnmetError

if TYPE_CHECKING:
    from pathlib import Path

_DAYS = "365"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: Path
    key: Path


class Authority:
    """Issues the certificates of one cluster into one folder of mode 0700."""

    def __init__(self, folder: Path) -> None:
        if not shutil.which("openssl"):
            raise UnmetError("the command `openssl` is not on PATH", "install the package openssl")
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True)
        self.pair = self._pair("ca")
        self._openssl(
            "req", "-x509", *_NEW_KEY, "-days", _DAYS, "-subj", "/CN=agenttype-cluster-ca",
            "-keyout", self.pair.key, "-out", self.pair.certificate,
        )  # fmt: skip

    def issue(self, name: str, subject: str, addresses: tuple[str, ...] = ()) -> Pair:
        """Issue a certificate; `addresses` are openssl's SANs such as `DNS:localhost` and `IP:127.0.0.1`."""
        pair = self._pair(name)
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        usage = "serverAuth,clientAuth" if addresses else "clientAuth"
        names = f"subjectAltName={','.join(addresses)}\n" if addresses else ""
        extensions.write_text(f"basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\n{names}")
        self._openssl("req", *_NEW_KEY, "-subj", subject, "-keyout", pair.key, "-out", request)
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.pair.certificate, "-CAkey", self.pair.key,
            "-CAcreateserial", "-days", _DAYS, "-extfile", extensions, "-out", pair.certificate,
        )  # fmt: skip
        request.unlink()
        extensions.unlink()
        return pair

    def signing_pair(self, name: str) -> Pair:
        """Make a bare key pair for signing ServiceAccount tokens; `certificate` is its public half."""
        pair = Pair(self._folder / f"{name}.pub", self._folder / f"{name}.key")
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", pair.key)
        self._openssl("ec", "-in", pair.key, "-pubout", "-out", pair.certificate)
        return pair

    def _pair(self, name: str) -> Pair:
        return Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")

    def _openssl(self, *arguments: str | Path) -> None:
        done = subprocess.run(
            ["openssl", *map(str, arguments)], cwd=self._folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BrokenError(f"openssl {arguments[0]} failed: {' '.join(done.stderr.split())[-200:]}")
