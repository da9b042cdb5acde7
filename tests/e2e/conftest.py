"""What is made once: the demo's cluster, from nothing, as `make demo` makes it; and the engine without a cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import clusters
from support.engines import OneEngine

from examples.demo import install, places
from examples.demo.kubectl import Kubectl


@pytest.fixture(scope="session")
def one_engine() -> Iterator[OneEngine]:
    """The real engine, as a process: kept for whoever asks for the same next."""
    with OneEngine() as one:
        yield one


@pytest.fixture(scope="module")
def demo(one_engine: OneEngine) -> Iterator[Kubectl]:
    """The way to a cluster on which the demo, with an engine of its own, is installed and ready."""
    one_engine.end()
    with clusters.embedded_cluster() as kubeconfig:
        place = places.Embedded(kubeconfig.parent)
        kubectl = place.kubectl()
        engine = place.engine()
        tag = install.images(place)
        install.everything(place, kubectl, engine, tag)
        kubectl.wait("Ready", "modelbackend/shared", seconds=900)
        kubectl.wait("Ready", "agenttype/green", "agenttype/red", seconds=300)
        yield kubectl


@pytest.fixture
def audit(demo: Kubectl) -> Path:
    """The audit log of the demo's API server."""
    return clusters.audit_log(demo.kubeconfig)
