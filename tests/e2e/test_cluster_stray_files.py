"""The embedded cluster goes without a trace, whatever happened to it."""

import pytest
from support import clusters, machine

# The base image is made by debootstrap on the first run of all.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def folder(tmp_path):
    clusters.run("build", "--check")
    home = tmp_path / "cluster"
    yield home
    clusters.run("down", "--dir", str(home))


def test_down_leaves_nothing_of_a_cluster_that_ran_pods(folder):
    before = machine.snapshot()
    clusters.run("up", "--dir", str(folder))
    clusters.run("image", "load", "base", "--dir", str(folder))
    clusters.run_web_pod(folder / "kubeconfig")
    clusters.run("down", "--dir", str(folder))
    assert machine.snapshot() == before
    assert machine.processes_that_name(folder) == []
    assert not folder.exists()


@pytest.mark.parametrize("component", ["etcd", "kube-scheduler", "kubelet", "coredns"])
def test_down_leaves_nothing_of_an_up_that_was_killed_in_the_middle(folder, component):
    before = machine.snapshot()
    clusters.kill_up_once_it_started(component, folder)
    clusters.run("down", "--dir", str(folder))
    assert machine.snapshot() == before
    assert machine.processes_that_name(folder) == []
    assert not folder.exists()


def test_down_leaves_nothing_of_a_cluster_whose_processes_were_killed_under_its_pods(folder):
    before = machine.snapshot()
    clusters.run("up", "--dir", str(folder))
    clusters.run("image", "load", "base", "--dir", str(folder))
    clusters.run_web_pod(folder / "kubeconfig")
    clusters.kill_every_component(folder)
    clusters.run("down", "--dir", str(folder))
    assert machine.snapshot() == before
    assert machine.processes_that_name(folder) == []
    assert not folder.exists()
