"""Who is who: one client certificate and kubeconfig per component, as RBAC's bootstrap roles expect them."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

from cluster import certificates

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.components import Plan

_ADMIN = "/O=system:masters/CN=admin"


def clients(plan: Plan) -> dict[str, str]:
    """The certificate subject of every component that talks to the API server."""
    named = {"kube-controller-manager": "/CN=system:kube-controller-manager"}
    if plan.full:
        named |= {
            "kube-scheduler": "/CN=system:kube-scheduler",
            "kube-proxy": "/CN=system:kube-proxy",
            "kubelet": f"/O=system:nodes/CN=system:node:{plan.node}",
            "coredns": "/CN=system:coredns",
        }
    return named


def server_names(plan: Plan) -> tuple[str, ...]:
    """The SANs of the API server's certificate: its Service's names and every address it is reached at."""
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    addresses = dict.fromkeys(("127.0.0.1", plan.network.address, plan.network.api_service))
    return (*(f"DNS:{name}" for name in (*service, "localhost")), *(f"IP:{address}" for address in addresses))


def kubeconfig(server: str, authority: bytes, pair: certificates.Pair, user: str) -> str:
    """A kubeconfig with everything inside, so that it may be copied and mounted."""

    def inline(data: bytes) -> str:
        return base64.b64encode(data).decode()

    name = "agenttype"
    credentials = {
        "client-certificate-data": inline(pair.certificate.read_bytes()),
        "client-key-data": inline(pair.key.read_bytes()),
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": name, "cluster": {"server": server, "certificate-authority-data": inline(authority)}}
            ],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
        },
        indent=1,
    )


def create(plan: Plan) -> None:
    """Make every key, certificate and kubeconfig of a new cluster."""
    authority = certificates.Authority(plan.home.pki)
    root = authority.pair.certificate.read_bytes()
    authority.issue("apiserver", "/CN=kube-apiserver", server_names(plan))
    authority.issue("apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    authority.signing_pair("service-accounts")
    for name, subject in clients(plan).items():
        pair = authority.issue(name, subject)
        _write_private(plan.home.config(name), kubeconfig(plan.server, root, pair, name))
    admin = authority.issue("admin", _ADMIN)
    _write_private(plan.home.kubeconfig, kubeconfig(plan.server, root, admin, "admin"))


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
