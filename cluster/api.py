"""The few requests that this tool makes to its own API server, as the cluster's administrator."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster.paths import Home

_TIMEOUT_SECONDS = 5.0


class UnreachableError(Exception):
    """The API server does not answer, or not with success; `code` is its HTTP status, 0 without an answer."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class Client:
    """HTTPS with the administrator's certificate; JSON in, JSON out."""

    def __init__(self, home: Home, server: str) -> None:
        self._server = server
        self._tls = ssl.create_default_context(cafile=str(home.pki / "ca.crt"))
        self._tls.load_cert_chain(home.pki / "admin.crt", home.pki / "admin.key")

    @classmethod
    def of(cls, home: Home) -> Client:
        """The client of a cluster that an earlier command made."""
        return cls(home, json.loads(home.kubeconfig.read_text())["clusters"][0]["cluster"]["server"])

    def ready(self) -> bool:
        """Whether every post-start hook of the API server is done."""
        try:
            self._request("GET", "/readyz")
        except UnreachableError:
            return False
        return True

    def get(self, path: str) -> Any:
        """Read an object or a list."""
        return json.loads(self._request("GET", path))

    def exists(self, path: str) -> bool:
        """Whether an object is there; an API server that does not answer has none."""
        try:
            self._request("GET", path)
        except UnreachableError:
            return False
        return True

    def apply(self, path: str, manifest: dict[str, Any]) -> None:
        """Make an object as the manifest says, by server-side apply."""
        query = "?fieldManager=agenttype-cluster&force=true"
        self._request("PATCH", path + query, manifest, content="application/apply-patch+yaml")

    def delete(self, path: str, grace_seconds: int) -> None:
        """Delete an object; that it is gone already is success."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": grace_seconds}
        try:
            self._request("DELETE", path, options)
        except UnreachableError as error:
            if error.code != http.HTTPStatus.NOT_FOUND:
                raise

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None, content: str = "application/json"
    ) -> bytes:
        request = urllib.request.Request(  # noqa: S310 — the scheme is ours
            self._server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": content},
        )
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )
        try:
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                data: bytes = answer.read()
                return data
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            raise UnreachableError(f"{method} {path}: {error.code} {text[:200]}", error.code) from error
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{method} {path}: {error}") from error
