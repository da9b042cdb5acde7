import dataclasses
import json
import tomllib
from pathlib import Path

from cluster import components, configs, identities, packet_filter


def arguments(component):
    return dict(word.partition("=")[::2] for word in component.command[1:])


def test_every_path_of_containerd_lies_in_the_clusters_folder(plan):
    config = tomllib.loads(configs.containerd(plan))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    written = [
        config["root"],
        config["state"],
        config["grpc"]["address"],
        config["plugins"]["io.containerd.internal.v1.opt"]["path"],
        cri["containerd"]["runtimes"]["runc"]["options"]["Root"],
        cri["cni"]["conf_dir"],
    ]
    assert [path for path in written if not Path(path).is_relative_to(plan.home.root)] == []


def test_a_folder_with_a_quote_in_its_name_stays_valid_toml(plan):
    odd = dataclasses.replace(plan, home=dataclasses.replace(plan.home, root=Path('/some"where')))
    assert tomllib.loads(configs.containerd(odd))["root"] == '/some"where/containerd'


def test_the_kubelet_listens_on_the_nodes_own_address_only(plan):
    config = json.loads(configs.kubelet(plan))
    assert (config["address"], config["healthzPort"]) == ("172.30.0.1", 0)


def test_the_kubelet_admits_nobody_without_a_name(plan):
    config = json.loads(configs.kubelet(plan))
    assert config["authentication"]["anonymous"] == {"enabled": False}
    assert config["authorization"] == {"mode": "Webhook"}


def test_the_kubelet_never_collects_images_that_no_registry_could_give_back(plan):
    assert json.loads(configs.kubelet(plan))["imageGCHighThresholdPercent"] == 100


def test_pod_addresses_are_leased_in_the_clusters_folder(plan):
    ipam = json.loads(configs.cni(plan))["plugins"][0]["ipam"]
    assert ipam["dataDir"] == "/somewhere/cluster/leases"


def test_dns_asks_the_hosts_resolver_where_there_is_one(plan):
    assert "forward . /etc/resolv.conf" in configs.corefile(plan, forward=True)


def test_dns_asks_nobody_where_the_host_has_no_resolver(plan):
    assert "forward" not in configs.corefile(plan, forward=False)


def test_every_request_is_audited_with_its_metadata():
    policy = json.loads(configs.audit_policy())
    assert policy["rules"] == [{"level": "Metadata"}]


def test_a_full_cluster_publishes_the_address_of_its_api_server_to_pods(plan):
    assert arguments(components.apiserver(plan))["--endpoint-reconciler-type"] == "lease"


def test_a_control_plane_publishes_no_loopback_address(plan):
    alone = dataclasses.replace(plan, full=False, network=components.Network())
    said = arguments(components.apiserver(alone))
    assert (said["--endpoint-reconciler-type"], said["--bind-address"]) == ("none", "127.0.0.1")


def test_the_store_listens_on_loopback_even_when_the_api_server_does_not(plan):
    said = arguments(components.etcd(plan))
    assert said["--listen-client-urls"] == "http://127.0.0.1:40001"
    assert said["--listen-peer-urls"] == "http://127.0.0.1:40002"


def test_the_api_servers_certificate_names_every_address_it_is_reached_at(plan):
    names = identities.server_names(plan)
    assert {"IP:127.0.0.1", "IP:172.30.0.1", "IP:10.96.0.1", "DNS:kubernetes.default.svc"} <= set(names)


def test_the_node_is_who_the_node_authorizer_expects(plan):
    assert identities.clients(plan)["kubelet"] == "/O=system:nodes/CN=system:node:node1"


def test_only_what_leaves_the_cluster_takes_the_hosts_address():
    rules = packet_filter.masquerade(components.Network(address="172.30.0.1"))
    inside = "172.30.0.0/24, 10.244.0.0/24, 10.96.0.0/16"
    assert f"ip saddr 10.244.0.0/24 ip daddr != {{ {inside} }} masquerade" in rules
