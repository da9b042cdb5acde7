"""Where the demo runs: our embedded cluster, or kind where Docker is. Both give the same five things."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

from examples.demo.kubectl import Kubectl, run

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "examples/engine"


class Place(Protocol):
    """A cluster that can be had on this machine."""

    name: str

    def up(self) -> None:
        """Make the cluster, or find it running."""

    def build(self, image: str, dockerfile: Path, context: Path, **arguments: str) -> None:
        """Build an image and put it where the cluster's node finds it."""

    def kubectl(self) -> Kubectl:
        """Return the way to the cluster."""

    def helm(self) -> Path | str:
        """Return the helm to install with."""

    def engine(self) -> dict[str, Any]:
        """Make the engine ready and return the chart's `backend` values for it."""


def build_arguments(arguments: dict[str, str]) -> list[str]:
    """Return the flags that give a Dockerfile its arguments, alike for Docker and for `cluster image build`."""
    return [f"--build-arg={name}={value}" for name, value in arguments.items()]


def choose() -> Place:
    """Return kind where Docker runs, else the embedded cluster."""
    docker = shutil.which("docker") and shutil.which("kind")
    if docker and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        return Kind()
    return Embedded()


class Embedded:
    """The cluster of `cluster/`: Linux, root, no Docker."""

    name = "the embedded cluster"

    def __init__(self, folder: Path | None = None) -> None:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
        self.folder = folder or Path(state) / "agenttype/cluster"

    def up(self) -> None:
        """Make the cluster, or find it running."""
        self._cluster("up", "--dir", str(self.folder), shown=True)

    def build(self, image: str, dockerfile: Path, context: Path, **arguments: str) -> None:
        """Build an image with buildah and import it into the node's containerd."""
        self._cluster("image", "build", "-t", image, "-f", str(dockerfile), *build_arguments(arguments), str(context))
        self._cluster("image", "load", image)

    def kubectl(self) -> Kubectl:
        """Return the way to the cluster."""
        return Kubectl(self.folder / "kubeconfig", self._programs() / "kubectl")

    def helm(self) -> Path:
        """Return the helm that was built for the cluster."""
        return self._programs() / "helm"

    def engine(self) -> dict[str, Any]:
        """Prepare the engine on the host and mount it: its environment is larger than an image should be here."""
        found = json.loads(run(sys.executable, ENGINE / "prepare.py", "--json"))
        self.build("localhost/engine-runtime:1", ENGINE / "Dockerfile.runtime", ENGINE)
        # Not at their own paths: those may lie in a home that only its owner may enter.
        mounts = {"venv": "/engine/venv", "model": "/engine/model"}
        return {
            "image": "localhost/engine-runtime:1",
            "model": mounts["model"],
            "command": [f"{mounts['venv']}/bin/python", "-m", "vllm.entrypoints.openai.api_server"],
            "volumes": [{"name": name, "hostPath": {"path": found[name], "type": "Directory"}} for name in mounts],
            "volumeMounts": [{"name": name, "mountPath": path, "readOnly": True} for name, path in mounts.items()],
        }

    def _programs(self) -> Path:
        return Path(self._cluster("build", "--check").strip())

    def _cluster(self, *arguments: str, shown: bool = False) -> str:
        command = [sys.executable, str(ROOT / "cluster"), *arguments]
        if shown:
            subprocess.run(command, check=True)
            return ""
        return run(*command)


class Kind:
    """A kind cluster: Docker, any system that has it."""

    name = "kind"
    cluster = "agenttype"

    def __init__(self) -> None:
        self.file = Path.home() / ".kube/agenttype-demo"

    def up(self) -> None:
        """Make the cluster, or find it running."""
        if self.cluster not in run("kind", "get", "clusters").split():
            run("kind", "create", "cluster", "--name", self.cluster, "--wait", "5m")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(run("kind", "get", "kubeconfig", "--name", self.cluster))
        self.file.chmod(0o600)

    def build(self, image: str, dockerfile: Path, context: Path, **arguments: str) -> None:
        """Build an image with Docker and load it into the node."""
        run("docker", "build", "--tag", image, "--file", dockerfile, *build_arguments(arguments), context)
        run("kind", "load", "docker-image", "--name", self.cluster, image)

    def kubectl(self) -> Kubectl:
        """Return the way to the cluster."""
        return Kubectl(self.file)

    def helm(self) -> str:
        """Return the helm on the path."""
        return "helm"

    def engine(self) -> dict[str, Any]:
        """Build the engine, its environment and its model as one image."""
        self.build("localhost/engine:1", ENGINE / "Dockerfile", ENGINE)
        return {"image": "localhost/engine:1"}
