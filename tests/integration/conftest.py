"""A real API server with our CRDs, shared by the tests that only ask it questions."""

import subprocess
from collections.abc import Iterator

import clusters
import pytest


@pytest.fixture(scope="session")
def kubeconfig_with_crds() -> Iterator[str]:
    """Kubeconfig of an administrator of a control plane that knows our kinds; tests leave nothing in it."""
    with clusters.control_plane() as path:
        kubectl = [str(clusters.tool("kubectl")), "--kubeconfig", str(path)]
        crds = [f"--filename={file}" for file in sorted((clusters.ROOT / "crds").glob("*.yaml"))]
        subprocess.run([*kubectl, "apply", "--server-side", *crds], check=True, capture_output=True)
        subprocess.run(
            [*kubectl, "wait", "--for=condition=Established", "--timeout=30s", *crds], check=True, capture_output=True
        )
        yield str(path)
