"""What the tests of the cluster's tool share."""

from pathlib import Path

import pytest

from cluster import components, paths


@pytest.fixture
def plan():
    return components.Plan(
        home=paths.Home(Path("/somewhere/cluster")),
        bin=Path("/cache/bin"),
        network=components.Network(address="172.30.0.1", link="agenttype0"),
        api_port=6443,
        etcd_port=40001,
        etcd_peer_port=40002,
        full=True,
    )
