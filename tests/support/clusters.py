"""Real clusters for tests: a control plane of one's own in seconds, or the one full node of this machine.

Both give the path of an administrator's kubeconfig; the audit log of every request lies beside it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, str(ROOT / "cluster"))
REUSE = "AGENTTYPE_E2E_DIR"
_WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: localhost/agenttype-base:1
        command: [python3, -m, http.server, "8080"]
        readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


@contextlib.contextmanager
def control_plane() -> Iterator[Path]:
    """An API server of one's own (CRDs, RBAC, tokens, controllers; no node), as a kubeconfig path."""
    run("build", "--check", "--control-plane-only")
    with tempfile.TemporaryDirectory(prefix="agenttype-") as folder:
        where = ("--dir", folder)
        try:
            run("up", "--control-plane-only", *where)
            yield Path(folder) / "kubeconfig"
        finally:
            run("down", "--keep", *where)


@contextlib.contextmanager
def embedded_cluster() -> Iterator[Path]:
    """The full cluster, as a kubeconfig path: the one in $AGENTTYPE_E2E_DIR, left running, else a fresh one."""
    if reused := os.environ.get(REUSE):
        run("status", "--dir", reused)
        yield Path(reused) / "kubeconfig"
        return
    run("build", "--check")
    with tempfile.TemporaryDirectory(prefix="agenttype-") as folder:
        where = ("--dir", folder)
        try:
            run("up", *where)
            yield Path(folder) / "kubeconfig"
        finally:
            run("down", "--keep", *where)


def audit_log(kubeconfig: Path) -> Path:
    """The audit log of a cluster: one JSON event a line."""
    return kubeconfig.parent / "audit.log"


def tool(name: str) -> Path:
    """A program of the cluster's cache, such as kubectl or helm."""
    return _programs() / name


@functools.cache  # asked before each of thousands of kubectl commands, and an answer takes longer than most of them
def _programs() -> Path:
    return Path(run("build", "--check").strip())


def kubectl(kubeconfig: Path, *arguments: str, given: str | None = None) -> str:
    """Run the cluster's kubectl and return what it prints."""
    command = [str(tool("kubectl")), "--kubeconfig", str(kubeconfig), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}\n{done.stderr}"
    return done.stdout


def install_kinds(kubeconfig: Path, definition: str | None = None) -> None:
    """Apply our CustomResourceDefinitions, or the one that is given as YAML; return when all are served.

    `kubectl wait` fails on a definition that has no conditions yet, which a busy API server gives them a little later.
    """
    ours = [f"--filename={file}" for file in sorted((ROOT / "crds").glob("*.yaml"))]
    kubectl(kubeconfig, "apply", "--server-side", *(["--filename=-"] if definition else ours), given=definition)
    until(lambda: not _not_served(kubeconfig), lambda: f"not established: {_not_served(kubeconfig)}")


def _not_served(kubeconfig: Path) -> list[str]:
    """The custom kinds that are not established yet."""
    items = json.loads(kubectl(kubeconfig, "get", "crd", "--output=json"))["items"]
    return [item["metadata"]["name"] for item in items if not _is_established(item.get("status", {}))]


def _is_established(status: dict[str, Any]) -> bool:
    conditions = status.get("conditions") or []
    return any(found["type"] == "Established" and found["status"] == "True" for found in conditions)


def said_by_pod(kubeconfig: Path, name: str, image: str, *command: str) -> str:
    """Run a pod, with its image's own command or this one, to its successful end; return what it printed."""
    given = ("--command", "--", *command) if command else ()
    kubectl(kubeconfig, "run", name, f"--image={image}", "--restart=Never", *given)
    try:
        kubectl(kubeconfig, "wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=60s")
    except AssertionError as error:
        error.add_note(kubectl(kubeconfig, "describe", "pod", name))
        error.add_note(kubectl(kubeconfig, "logs", name, "--ignore-errors"))
        raise
    return kubectl(kubeconfig, "logs", name)


def run_web_pod(kubeconfig: Path) -> None:
    """Run a web server behind the Service `web` until it serves; it needs the image `base`."""
    kubectl(kubeconfig, "apply", "-f", "-", given=_WEB)
    kubectl(kubeconfig, "wait", "--for=condition=Available", "deployment/web", "--timeout=90s")


def kill_up_once_it_started(component: str, folder: Path) -> None:
    """Begin `up` of a full cluster and kill it, as kill -9 does, when it has recorded a component."""
    process = subprocess.Popen([*COMMAND, "up", "--dir", str(folder)], stderr=subprocess.DEVNULL)

    def is_recorded() -> bool:
        assert process.poll() is None, f"up ended before it started {component}"
        return f'"name": "{component}"' in _journal(folder)

    until(is_recorded, f"up started {component}", within=90)
    process.kill()
    process.wait()


def kill_every_component(folder: Path) -> None:
    """Kill all recorded processes of a cluster at once, as a machine short of memory may."""
    for line in _journal(folder).splitlines():
        if line.startswith('{"process"'):
            os.kill(json.loads(line)["process"]["pid"], signal.SIGKILL)


def _journal(folder: Path) -> str:
    try:
        return (folder / "journal.jsonl").read_text()
    except FileNotFoundError:
        return ""


def run(*arguments: str) -> str:
    """Run the cluster's command line; its error, which tells the fix, becomes the test's."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"python3 cluster {' '.join(arguments)}\n{done.stderr or done.stdout}")
    return done.stdout
