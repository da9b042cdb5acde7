"""The operator as a process on a real API server, as its own ServiceAccount with exactly its rights."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from agenttype_operator.kube import rbac

from support import clusters
from support.waiting import until

ACCOUNT = "system:serviceaccount:agenttype-system:agenttype-operator"
BINDING = "agenttype-gate"
CRASHING = Path(__file__).with_name("crashing_operator.py")
SETTINGS = {
    "AGENTTYPE_OPERATOR_SIDECAR_IMAGE": "example.test/sidecar:1",
    "AGENTTYPE_OPERATOR_WRAPPER_IMAGE": "example.test/wrapper:1",
    "AGENTTYPE_OPERATOR_GATE_IMAGE": "example.test/gate:1",
    "AGENTTYPE_OPERATOR_LEASE_NAMESPACE": "agenttype-system",
    "AGENTTYPE_OPERATOR_GATE_BINDING": BINDING,
    "AGENTTYPE_OPERATOR_HTTP_PORT": "0",
    "AGENTTYPE_OPERATOR_RELIST_SECONDS": "5",
}
MUTATING = {"create", "update", "patch", "delete", "deletecollection"}


class Control:
    """An administrator's hand on a control plane."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._namespaces = 0

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        return clusters.kubectl(self.kubeconfig, *arguments, given=given)

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Apply manifests as a user would."""
        body = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self("apply", "--server-side", "--force-conflicts", "-f", "-", given=json.dumps(body))

    def get(self, namespace: str, *what: str) -> dict[str, Any] | None:
        """An object as JSON, or None."""
        text = self("get", "-n", namespace, *what, "-o", "json", "--ignore-not-found")
        found: dict[str, Any] | None = json.loads(text) if text.strip() else None
        return found

    def namespace(self) -> str:
        """Make a namespace of one's own."""
        self._namespaces += 1
        name = f"test-{self._namespaces}"
        self("create", "namespace", name)
        return name

    def condition(self, namespace: str, kind: str, name: str, type_: str) -> dict[str, Any]:
        """One condition; empty before there is one."""
        status = (self.get(namespace, kind, name) or {}).get("status") or {}
        found = [condition for condition in status.get("conditions", ()) if condition["type"] == type_]
        return found[0] if found else {}

    def await_reason(self, namespace: str, kind: str, name: str, type_: str, reason: str) -> dict[str, Any]:
        """Wait until a condition has a reason, and return it."""
        until(
            lambda: self.condition(namespace, kind, name, type_).get("reason") == reason,
            lambda: f"{kind} {name} {type_} {reason}: {self.get(namespace, kind, name)}",
        )
        return self.condition(namespace, kind, name, type_)

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """The operator's own requests in the audit log, kopf's included, from an offset in bytes on."""
        with clusters.audit_log(self.kubeconfig).open("rb") as log:
            log.seek(since)
            events = [json.loads(line) for line in log if line.endswith(b"\n")]
        return [event for event in events if event["user"].get("username") == ACCOUNT]

    def writes(self, since: int = 0) -> list[str]:
        """The operator's writes but the Lease's, as `verb resource/name`."""
        found = []
        for event in self.requests(since):
            target = event.get("objectRef") or {}
            if event["verb"] in MUTATING and target.get("resource") != "leases":
                found.append(f"{event['verb']} {target.get('resource')}/{target.get('name')}")
        return found

    def now(self) -> int:
        """The audit log's end, as an offset for `requests`."""
        return clusters.audit_log(self.kubeconfig).stat().st_size


@contextlib.contextmanager
def prepared() -> Iterator[Control]:
    """A control plane with our kinds, the operator's account and rights, and the gates' binding."""
    with clusters.control_plane() as kubeconfig:
        control = Control(kubeconfig)
        clusters.install_kinds(kubeconfig)
        control("create", "namespace", "agenttype-system")
        control.apply(*_rights())
        yield control


@contextlib.contextmanager
def paused(control: Control, component: str) -> Iterator[None]:
    """Freeze a process of the control plane: it neither answers nor closes connections."""
    lines = (control.kubeconfig.parent / "journal.jsonl").read_text().splitlines()
    processes = [json.loads(line)["process"] for line in lines if line.startswith('{"process"')]
    [pid] = [process["pid"] for process in processes if process["name"] == component]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _rights() -> list[dict[str, Any]]:
    role, binding = "rbac.authorization.k8s.io/v1", "agenttype-operator"
    subject = {"kind": "ServiceAccount", "name": "agenttype-operator", "namespace": "agenttype-system"}
    group = "rbac.authorization.k8s.io"
    home = {"name": binding, "namespace": "agenttype-system"}
    reviews = {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": home},
        {
            "apiVersion": role,
            "kind": "ClusterRole",
            "metadata": {"name": binding},
            "rules": [*rbac.SERVED, *rbac.DEFINITIONS, *rbac.gate(BINDING)],
        },
        {
            "apiVersion": role,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": binding},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": binding},
            "subjects": [subject],
        },
        {"apiVersion": role, "kind": "Role", "metadata": home, "rules": rbac.LEASE},
        {
            "apiVersion": role,
            "kind": "RoleBinding",
            "metadata": home,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": binding},
            "subjects": [subject],
        },
        {"apiVersion": role, "kind": "ClusterRole", "metadata": {"name": BINDING}, "rules": [reviews]},
        {
            "apiVersion": role,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": BINDING},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": BINDING},
        },
    ]


@contextlib.contextmanager
def operator(control: Control, name: str, crash: str = "", **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run an operator until the block ends; `crash` is `before:N` or `after:N`, the write at which it dies."""
    folder = control.kubeconfig.parent
    kubeconfig = _kubeconfig(control, folder / "operator.kubeconfig")
    program = [str(CRASHING), crash] if crash else ["-m", "agenttype_operator"]
    environment = {
        **os.environ,
        **SETTINGS,
        "KUBECONFIG": str(kubeconfig),
        "AGENTTYPE_OPERATOR_POD_NAME": name,
        **settings,
    }
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, *program], env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _kubeconfig(control: Control, path: Path) -> Path:
    """Write the kubeconfig of the operator's account."""
    config = yaml.safe_load(control.kubeconfig.read_text())
    token = control("create", "token", "agenttype-operator", "-n", "agenttype-system", "--duration=1h").strip()
    config["users"] = [{"name": "operator", "user": {"token": token}}]
    config["contexts"][0]["context"]["user"] = "operator"
    config["current-context"] = config["contexts"][0]["name"]
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path
