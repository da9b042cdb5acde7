"""Certificates of authorities that only a test knows, made by the openssl command."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """An authority with its certificate in the file `certificate`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        """Make one with its files in `folder`."""
        self._folder = folder
        self._name = name
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl("req", "-x509", *_KEY, "-keyout", self._key, "-out", self.certificate, "-subj", f"/CN={name}")

    def server(self, host: str = "localhost", days: int = 1) -> ssl.SSLContext:
        """The TLS of a server whose certificate is for `host` and ends after `days`; below zero it has ended."""
        stem = self._folder / f"{self._name}-{host}-{days}"
        asked, signed, extensions = (stem.with_suffix(end) for end in (".csr", ".pem", ".ext"))
        key = stem.with_suffix(".key")
        extensions.write_text(f"subjectAltName=DNS:{host}\n")
        _openssl("req", "-new", *_KEY, "-keyout", key, "-out", asked, "-subj", f"/CN={host}")
        vouching = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        _openssl("x509", "-req", "-in", asked, "-out", signed, "-days", str(days), *vouching)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(signed, key)
        return context

    def own(self) -> ssl.SSLContext:
        """The TLS of a server that vouches for itself."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._key)
        return context


def _openssl(*arguments: object) -> None:
    openssl = shutil.which("openssl") or pytest.fail("openssl is missing; install it with: apt-get install openssl")
    subprocess.run([openssl, *map(str, arguments)], check=True, capture_output=True)
