"""A real API server with our CRDs, shared by the tests that only ask it questions."""

from collections.abc import Iterator

import pytest
from support import clusters


@pytest.fixture(scope="session")
def kubeconfig_with_crds() -> Iterator[str]:
    """Kubeconfig of an administrator of a control plane that knows our kinds; tests leave nothing in it."""
    with clusters.control_plane() as path:
        clusters.install_kinds(path)
        yield str(path)
