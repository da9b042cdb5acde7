"""The demo's cluster: made once for the stories, from nothing, as `make demo` makes it."""

from collections.abc import Iterator
from pathlib import Path

import clusters
import install
import places
import pytest
from kubectl import Kubectl


@pytest.fixture(scope="module")
def demo() -> Iterator[Kubectl]:
    """The way to a cluster on which the demo is installed and ready."""
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
