"""Pure: the objects that a full cluster starts with, by their API path: DNS as a Service, and its rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster.components import Network

_DNS_PORTS = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
_RBAC = "rbac.authorization.k8s.io"
_SYSTEM = "/namespaces/kube-system"


def initial(network: Network) -> dict[str, dict[str, Any]]:
    """Every object, in the order of applying."""
    return {
        f"/apis/{_RBAC}/v1/clusterroles/system:coredns": {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        },
        f"/apis/{_RBAC}/v1/clusterrolebindings/system:coredns": {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": "system:coredns"}],
        },
        f"/api/v1{_SYSTEM}/services/kube-dns": {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {"clusterIP": network.dns_service, "ports": _DNS_PORTS},
        },
        f"/apis/discovery.k8s.io/v1{_SYSTEM}/endpointslices/kube-dns-host": {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns-host",
                "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "ports": _DNS_PORTS,
            "endpoints": [{"addresses": [network.address], "conditions": {"ready": True}}],
        },
    }
