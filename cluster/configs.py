"""Pure: the configuration files of the components, from the plan. JSON is YAML, so one printer serves most."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cluster import cgroups, stray_files

if TYPE_CHECKING:
    from cluster.components import Plan

PAUSE_IMAGE = "localhost/agenttype-pause:1"
CONTEXT = "agenttype"  # of every kubeconfig


def control_plane() -> dict[str, str]:
    """The files of a control plane, by name."""
    return {"audit-policy.json": audit_policy()}


def node(plan: Plan, *, forward: bool) -> dict[str, str]:
    """The files of a node, by name; `forward` where the host itself resolves names."""
    return {
        "containerd.toml": containerd(plan),
        "cni/10-agenttype.conflist": cni(plan),
        "kubelet.json": kubelet(plan),
        "kube-proxy.json": proxy(plan),
        "Corefile": corefile(plan, forward=forward),
    }


def audit_policy() -> str:
    """Record who did what to which object, for every request once, when its answer is complete."""
    return _json(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata"}],
        }
    )


def containerd(plan: Plan) -> str:
    """Containerd 1.6, with every path below the cluster's folder."""
    home = plan.home
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = {_quoted(home / "containerd")}
state = {_quoted(home / "containerd-state")}
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", \
"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = {_quoted(home.containerd_socket)}
[plugins."io.containerd.internal.v1.opt"]
path = {_quoted(home / "containerd-opt")}
[{cri}]
sandbox_image = "{PAUSE_IMAGE}"
disable_apparmor = true
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[{cri}.containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
Root = {_quoted(home / "runc")}
[{cri}.cni]
bin_dir = "/usr/lib/cni"
conf_dir = {_quoted(home.config("cni"))}
"""


def cni(plan: Plan) -> str:
    """Each pod on a routed link of its own: a bridge would let answers of Services bypass their translation."""
    return _json(
        {
            "cniVersion": "1.0.0",
            "name": stray_files.CNI_NETWORK,
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,  # one nftables rule of ours does it, and goes with us
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(plan.home / "leases"),
                        "ranges": [[{"subnet": plan.network.pods}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                }
            ],
        }
    )


def kubelet(plan: Plan) -> str:
    """The node agent: paths in the cluster's folder, pods in our cgroup, no image ever collected."""
    home = plan.home
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": plan.network.address,
            "healthzPort": 0,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(home.pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{cgroups.NAME}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "containerRuntimeEndpoint": f"unix://{home.containerd_socket}",
            "podLogsDir": str(home / "pod-logs"),
            "volumePluginDir": str(home / "volume-plugins"),
            "makeIPTablesUtilChains": False,
            "clusterDNS": [plan.network.dns_service],
            "clusterDomain": "cluster.local",
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,  # an image that was loaded by hand could not be pulled again
        }
    )


def proxy(plan: Plan) -> str:
    """Services by nftables; connection tracking stays as the host has it."""
    address = plan.network.address
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(plan.home.config("kube-proxy"))},
            "mode": "nftables",
            "hostnameOverride": plan.node,
            "clusterCIDR": plan.network.pods,
            "metricsBindAddress": f"{address}:10249",
            "healthzBindAddress": f"{address}:10256",
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        }
    )


def corefile(plan: Plan, *, forward: bool) -> str:
    """The cluster's names from the API server, all others from the host's resolver if it has one."""
    return f""".:53 {{
  bind {plan.network.address}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {plan.home.config("coredns")} {CONTEXT}
    pods verified
    fallthrough in-addr.arpa
  }}
{"  forward . /etc/resolv.conf" if forward else ""}
  cache 5
}}
"""


def _json(document: Any) -> str:
    return json.dumps(document, indent=1) + "\n"


def _quoted(value: object) -> str:
    return json.dumps(str(value))  # a TOML basic string escapes as JSON does
