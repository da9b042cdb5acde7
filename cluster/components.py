"""Pure: the command line of every component, from one typed plan of the cluster."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path  # noqa: TC003 — a dataclass field's type

from cluster.paths import Home  # noqa: TC001 — a dataclass field's type

LOOPBACK = "127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Network:
    """The addresses of a cluster; a full one lives on a bridge of its own, so that no port of the host is taken."""

    address: str = LOOPBACK
    prefix: int = 24
    link: str = ""
    pods: str = "10.244.0.0/24"
    services: str = "10.96.0.0/16"
    api_service: str = "10.96.0.1"
    dns_service: str = "10.96.0.10"

    @property
    def ranges(self) -> tuple[str, ...]:
        """Every IPv4 range inside the cluster."""
        return (str(ipaddress.ip_interface(f"{self.address}/{self.prefix}").network), self.pods, self.services)


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that decides what a cluster is."""

    home: Home
    bin: Path
    network: Network
    api_port: int
    etcd_port: int
    etcd_peer_port: int
    full: bool
    node: str = "node1"

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return f"https://{self.network.address}:{self.api_port}"

    @property
    def etcd_url(self) -> str:
        """The URL of the store: plain HTTP, on loopback only."""
        return f"http://{LOOPBACK}:{self.etcd_port}"


@dataclasses.dataclass(frozen=True)
class Component:
    """A long-running program of the cluster."""

    name: str
    command: tuple[str, ...]


def etcd(plan: Plan) -> Component:
    """The store; without fsync, because a development cluster need not survive a power cut."""
    peer = f"http://{LOOPBACK}:{plan.etcd_peer_port}"
    return _component(
        plan, "etcd",
        "--name=node1", f"--data-dir={plan.home / 'etcd'}", "--unsafe-no-fsync", "--logger=zap", "--log-level=warn",
        f"--listen-client-urls={plan.etcd_url}", f"--advertise-client-urls={plan.etcd_url}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=node1={peer}",
    )  # fmt: skip


def apiserver(plan: Plan) -> Component:
    """The API server with RBAC, NodeRestriction, token signing and an audit log of every request's metadata."""
    pki, address = plan.home.pki, plan.network.address
    return _component(
        plan, "kube-apiserver",
        f"--etcd-servers={plan.etcd_url}", f"--secure-port={plan.api_port}",
        f"--bind-address={address}", f"--advertise-address={address}",
        # Only an address that pods can reach may be published as the endpoint of the Service `kubernetes`.
        f"--endpoint-reconciler-type={'lease' if plan.full else 'none'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}", f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}", "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        f"--service-cluster-ip-range={plan.network.services}", "--allow-privileged=true", "--profiling=false",
        f"--audit-policy-file={plan.home.config('audit-policy.json')}", f"--audit-log-path={plan.home.audit_log}",
    )  # fmt: skip


def controller_manager(plan: Plan) -> Component:
    """The controllers, each with its own ServiceAccount, so that RBAC holds as in any real cluster."""
    config = plan.home.config("kube-controller-manager")
    return _component(
        plan, "kube-controller-manager",
        f"--kubeconfig={config}", "--use-service-account-credentials=true", "--leader-elect=false",
        f"--service-account-private-key-file={plan.home.pki / 'service-accounts.key'}",
        f"--root-ca-file={plan.home.pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={plan.home.pki / 'ca.crt'}",
        f"--cluster-signing-key-file={plan.home.pki / 'ca.key'}",
        f"--flex-volume-plugin-dir={plan.home / 'volume-plugins'}",
        # At the default of 20 requests a second, making its controllers' accounts takes three seconds.
        "--kube-api-qps=500", "--kube-api-burst=500",
        "--secure-port=0", "--profiling=false",
    )  # fmt: skip


def scheduler(plan: Plan) -> Component:
    """The scheduler."""
    config = plan.home.config("kube-scheduler")
    return _component(
        plan, "kube-scheduler",
        f"--kubeconfig={config}", f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}",
        "--leader-elect=false", "--secure-port=0", "--profiling=false",
    )  # fmt: skip


def containerd(plan: Plan, program: str) -> Component:
    """The container runtime: Debian's program with our own configuration, state and socket."""
    return Component("containerd", (program, "--config", str(plan.home.config("containerd.toml"))))


def kubelet(plan: Plan) -> Component:
    """The node agent."""
    return _component(
        plan, "kubelet",
        f"--config={plan.home.config('kubelet.json')}", f"--kubeconfig={plan.home.config('kubelet')}",
        f"--root-dir={plan.home / 'kubelet'}", f"--cert-dir={plan.home / 'kubelet-pki'}",
        f"--hostname-override={plan.node}",
        f"--node-ip={plan.network.address}",
    )  # fmt: skip


def proxy(plan: Plan) -> Component:
    """Services, by nftables."""
    return _component(plan, "kube-proxy", f"--config={plan.home.config('kube-proxy.json')}")


def coredns(plan: Plan) -> Component:
    """The cluster's DNS, as a process of the host."""
    return _component(plan, "coredns", "-conf", str(plan.home.config("Corefile")))


def _component(plan: Plan, name: str, *arguments: str) -> Component:
    return Component(name, (str(plan.bin / name), *arguments))
