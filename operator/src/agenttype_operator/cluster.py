"""The one module that talks to the API server: nothing else imports `kubernetes`.

Every write passes the fence first: a replica that may have lost its Lease writes nothing. Every write to an existing
object carries its uid, so that a decision about one object never lands on its successor of the same name.
"""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from agenttype_api import keys
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient

from agenttype_operator import errors, kinds
from agenttype_operator.kinds import Kind, Raw
from agenttype_operator.metrics import Metrics

_TIMEOUT: Final = 30.0
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
#: A listing without specs and statuses: what the sweep compares is names and versions.
_METADATA_ONLY: Final = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}


@dataclass(frozen=True)
class Listing:
    """Objects of a kind, as they were at a resource version."""

    items: list[Raw]
    version: int


async def configuration() -> client.Configuration:
    """Find the API server: $KUBECONFIG where it is set, else the pod's own ServiceAccount, whose token is re-read."""
    found = client.Configuration()
    if path := os.environ.get("KUBECONFIG"):
        await config.load_kube_config(config_file=path, client_configuration=found)  # type: ignore[no-untyped-call]
    else:
        config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
    return found


def connection(found: client.Configuration) -> dict[str, Any]:
    """What kopf needs to know to reach the same server: members of its ConnectionInfo."""
    if found.refresh_api_key_hook:
        found.refresh_api_key_hook(found)
    token = (found.api_key or {}).get("BearerToken", "").rpartition(" ")[2]
    return {
        "server": found.host,
        "ca_path": found.ssl_ca_cert,
        "insecure": not found.verify_ssl,
        "certificate_path": found.cert_file,
        "private_key_path": found.key_file,
        "scheme": "Bearer" if token else None,
        "token": token or None,
    }


class Cluster:
    """Requests to the API server; every failure is an `errors.OperatorError`.

    Args:
        found: where the server is.
        agent: who we are, for the server's audit log.
        fence: whether we may write now.
        metrics: where writes are counted.
    """

    def __init__(self, found: client.Configuration, agent: str, fence: Callable[[], bool], metrics: Metrics) -> None:
        self._api = client.ApiClient(found)
        self._api.user_agent = agent
        self._dynamic = DynamicClient(self._api)  # type: ignore[no-untyped-call]
        self._fence = fence
        self._metrics = metrics

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def list(self, kind: Kind, namespace: str = "") -> Listing:
        """List a kind; children only with our label."""
        return await self._list(kind, namespace, {})

    async def list_metadata(self, kind: Kind, namespace: str = "") -> Listing:
        """List a kind's metadata only."""
        return await self._list(kind, namespace, dict(_METADATA_ONLY))

    async def get(self, kind: Kind, namespace: str, name: str) -> Raw | None:
        """Get an object; None where there is none."""
        try:
            return await self._request("get", kind.path(namespace, name))
        except errors.Missing:
            return None

    async def apply(self, body: Raw) -> Raw:
        """Server-side apply an object; the server refuses where `metadata.uid` is given and is another's."""
        kind = kinds.BY_NAME[body["kind"]]
        key = kinds.key_of(kind.name, body)
        return await self._write("patch", kind, kind.path(key.namespace, key.name), body, content_type=_APPLY)

    async def apply_status(self, body: Raw) -> Raw:
        """Server-side apply an object's status."""
        kind = kinds.BY_NAME[body["kind"]]
        key = kinds.key_of(kind.name, body)
        path = kind.path(key.namespace, key.name, "status")
        return await self._write("patch", kind, path, body, content_type=_APPLY)

    async def annotate(self, kind: Kind, raw: Raw, annotations: dict[str, str]) -> Raw:
        """Set annotations of an object that we have seen."""
        key = kinds.key_of(kind.name, raw)
        body = {"metadata": {"uid": raw["metadata"]["uid"], "annotations": annotations}}
        return await self._write("patch", kind, kind.path(key.namespace, key.name), body, content_type=_MERGE)

    async def delete(self, kind: Kind, raw: Raw) -> None:
        """Delete an object, exactly in the version that we have seen."""
        key = kinds.key_of(kind.name, raw)
        seen = {name: raw["metadata"][name] for name in ("uid", "resourceVersion")}
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": seen, "propagationPolicy": "Background"}
        try:
            await self._write("delete", kind, kind.path(key.namespace, key.name), body)
        except errors.Missing:
            return

    async def create(self, kind: Kind, body: Raw) -> Raw:
        """Create an object."""
        return await self._write("post", kind, kind.path(body["metadata"]["namespace"]), body)

    async def merge(self, kind: Kind, namespace: str, name: str, body: Raw) -> Raw:
        """Merge members into an object that nobody else writes."""
        return await self._write("patch", kind, kind.path(namespace, name), body, content_type=_MERGE)

    async def review(self, token: str) -> Raw:
        """Ask whose a token is, for the store's audience; a question is no write, so the fence does not apply."""
        spec = {"token": token, "audiences": [keys.NATS_AUDIENCE]}
        body = {"apiVersion": kinds.TOKEN_REVIEW.api_version, "kind": kinds.TOKEN_REVIEW.name, "spec": spec}
        return await self._request("post", kinds.TOKEN_REVIEW.path(""), body=body)

    async def write_lease(self, body: Raw) -> Raw:
        """Create or replace a Lease, replacing only the version that was read; the fence does not apply to it."""
        key = kinds.key_of(kinds.LEASE.name, body)
        if "resourceVersion" in body["metadata"]:
            return await self._request("put", kinds.LEASE.path(key.namespace, key.name), body=body)
        return await self._request("post", kinds.LEASE.path(key.namespace), body=body)

    async def _list(self, kind: Kind, namespace: str, headers: dict[str, str]) -> Listing:
        selector = kinds.SELECTOR if kind.ours else None
        found = await self._request("get", kind.path(namespace), label_selector=selector, header_params=headers)
        items = [
            {"apiVersion": kind.api_version, "kind": kind.name, **item} for item in found["items"] or ()
        ]  # null when empty
        return Listing(items, int(found["metadata"]["resourceVersion"]))

    async def _write(self, verb: str, kind: Kind, path: str, body: Raw, content_type: str | None = None) -> Raw:
        if not self._fence():
            raise errors.NotLeading(f"the Lease is not ours; {verb} {path} was not sent")
        extra: dict[str, Any] = {"field_manager": keys.FIELD_MANAGER} if verb != "delete" else {}
        if content_type == _APPLY:
            extra["force_conflicts"] = True
        self._metrics.writes.labels(kind=kind.name, verb=verb).inc()
        return await self._request(verb, path, body=body, content_type=content_type, **extra)

    async def _request(self, verb: str, path: str, **extra: Any) -> Raw:
        # Both are mutable defaults in the library, shared between requests unless given.
        extra = {"query_params": [], "header_params": {}, **extra}
        try:
            async with asyncio.timeout(_TIMEOUT):
                response = await self._dynamic.request(verb, path, serialize=False, **extra)
                found: Raw = json.loads(await response.read())
                return found
        except ApiException as error:
            raise _translated(error) from error
        except (aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError) as error:
            raise errors.Unavailable(f"{verb} {path}: {type(error).__name__}: {error}") from error


_BY_STATUS: Final[dict[int, type[errors.OperatorError]]] = {
    400: errors.Refused,
    403: errors.Refused,
    404: errors.Missing,
    409: errors.Stale,
    413: errors.Refused,
    422: errors.Refused,
}


def _translated(error: ApiException) -> errors.OperatorError:
    return _BY_STATUS.get(error.status, errors.Unavailable)(_message(error))


def _message(error: ApiException) -> str:
    """Return the server's own words, without headers or our stack."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return f"HTTP {error.status} {error.reason}"
