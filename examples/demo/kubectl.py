"""The demo's only way to the cluster: `kubectl`, as a person would use it."""

import json
import subprocess
from pathlib import Path
from typing import Any


class CommandError(RuntimeError):
    """A command failed; the message is what it printed."""


def run(*command: str | Path, stdin: str | None = None, timeout: float = 1800) -> str:
    """Run a command and return what it printed.

    Raises:
        CommandError: it exited with another code than 0.
    """
    done = subprocess.run(
        [str(part) for part in command], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        shown = " ".join(str(part) for part in command[:6])
        raise CommandError(f"{shown} … exited with {done.returncode}:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Kubectl:
    """`kubectl` for one cluster."""

    def __init__(self, kubeconfig: Path, program: str | Path = "kubectl", namespace: str = "demo") -> None:
        self.kubeconfig = kubeconfig
        self.program = program
        self.namespace = namespace

    def __call__(self, *arguments: str | Path, stdin: str | None = None, timeout: float = 1800) -> str:
        """Run `kubectl` with these arguments in the demo's namespace."""
        return run(
            self.program,
            "--kubeconfig",
            self.kubeconfig,
            "--namespace",
            self.namespace,
            *arguments,
            stdin=stdin,
            timeout=timeout,
        )

    def apply(self, *files: Path) -> None:
        """Apply manifests by server-side apply."""
        self("apply", "--server-side", *(f"--filename={file}" for file in files))

    def get(self, *what: str) -> dict[str, Any]:
        """Return an object or a list as JSON."""
        found: dict[str, Any] = json.loads(self("get", *what, "--output=json"))
        return found

    def wait(self, condition: str, *what: str, seconds: int) -> None:
        """Wait until objects have a condition."""
        self("wait", f"--for=condition={condition}", f"--timeout={seconds}s", *what, timeout=seconds + 30)

    def pod_text(self, pod: str, port: int, path: str) -> str:
        """Return what a pod answers to a GET, asked through the API server: works from everywhere."""
        return self("get", "--raw", f"/api/v1/namespaces/{self.namespace}/pods/{pod}:{port}/proxy{path}")

    def pods(self, selector: str) -> list[str]:
        """Return the names of the pods that match, oldest first."""
        items = self.get("pods", f"--selector={selector}")["items"]
        items = [item for item in items if "deletionTimestamp" not in item["metadata"]]
        return [item["metadata"]["name"] for item in sorted(items, key=lambda i: i["metadata"]["creationTimestamp"])]
