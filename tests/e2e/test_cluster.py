"""The embedded cluster itself works as a cluster does."""

import subprocess

import pytest
from support import clusters

# The base image is made by debootstrap on the first run of all.
pytestmark = pytest.mark.timeout(600)

# A Service's name and rules follow its endpoints within seconds, not at once: whoever asks, asks again.
ASK = """
import time, urllib.request
due = time.monotonic() + 30
while True:
    try:
        print(urllib.request.urlopen("http://web.default.svc.cluster.local", timeout=9).status)
        break
    except OSError:
        if time.monotonic() > due:
            raise
        time.sleep(0.2)
"""
DOCKERFILE = """
ARG BASE=python:3.11-slim
FROM ${BASE}
COPY said.txt /said.txt
USER 10001
CMD ["python3", "-c", "print(open('/said.txt').read())"]
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    clusters.run("build", "--check")
    folder = tmp_path_factory.mktemp("node") / "cluster"
    try:
        clusters.run("up", "--dir", str(folder))
        clusters.run("image", "load", "base", "--dir", str(folder))
        yield folder / "kubeconfig"
    finally:
        clusters.run("down", "--dir", str(folder))


def test_a_pod_reaches_another_by_the_name_of_its_service(cluster):
    clusters.run_web_pod(cluster)
    answer = clusters.said_by_pod(cluster, "asker", "localhost/agenttype-base:1", "python3", "-c", ASK)
    assert answer.strip() == "200"


def test_a_plain_dockerfile_becomes_a_pod(cluster, tmp_path):
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "said.txt").write_text("as written")
    clusters.run("image", "build", "-t", "test-of-cluster:1", "-f", str(tmp_path / "Dockerfile"), str(tmp_path))
    clusters.run("image", "load", "test-of-cluster:1", "--dir", str(cluster.parent))
    said = clusters.said_by_pod(cluster, "said", "test-of-cluster:1")
    assert said.strip() == "as written"


def test_up_on_a_healthy_cluster_changes_nothing(cluster):
    before = (cluster.parent / "journal.jsonl").read_text()
    clusters.run("up", "--dir", str(cluster.parent))
    assert (cluster.parent / "journal.jsonl").read_text() == before


def test_a_second_cluster_is_refused_and_the_first_one_named(cluster, tmp_path):
    second = subprocess.run(
        [*clusters.COMMAND, "up", "--dir", str(tmp_path / "second")], capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert f"another full cluster is up in {cluster.parent}" in second.stderr
    assert not (tmp_path / "second").exists()
