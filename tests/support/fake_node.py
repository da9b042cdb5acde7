"""What a kubelet and our containers would say, for a control plane that has no node."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agenttype_api import keys
from operators import Control, until


class FakeNode:
    """Starts pods on loopback addresses and answers for their control ports; a test may change the answers."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._addresses = 1
        self.says: dict[str, dict[str, Any]] = {}
        """Per address: path of the control API → JSON body."""
        self.asked: list[str] = []
        self._servers: list[ThreadingHTTPServer] = []

    def close(self) -> None:
        """Stop answering."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def start(self, namespace: str, label: str, path: str, answer: dict[str, Any]) -> str:
        """Let the only pod of a label run and its control port answer; return its address."""
        until(lambda: len(self._pods(namespace, label)) == 1, lambda: f"no single pod {label} in {namespace}")
        [pod] = self._pods(namespace, label)
        self._addresses += 1
        address = f"127.0.7.{self._addresses}"
        self.says[address] = {path: answer}
        self._serve(address)
        self._set_status(pod, address)
        return address

    def _pods(self, namespace: str, label: str) -> list[dict[str, Any]]:
        found = self._control.get(namespace, "pods", "-l", label) or {"items": []}
        pods: list[dict[str, Any]] = found["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def _set_status(self, pod: dict[str, Any], address: str) -> None:
        spec = pod["spec"]
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [
                {"type": name, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
                for name in ("Initialized", "ContainersReady", "Ready", "PodScheduled")
            ],
            "initContainerStatuses": [_running(container) for container in spec.get("initContainers", ())],
            "containerStatuses": [_running(container) for container in spec["containers"]],
        }
        metadata = pod["metadata"]
        patch = ["patch", "pod", metadata["name"], "-n", metadata["namespace"], "--subresource=status"]
        self._control(*patch, "--type=merge", "-p", json.dumps({"status": status}))

    def _serve(self, address: str) -> None:
        node = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                node.asked.append(address)
                body = json.dumps(node.says[address][self.path]).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer((address, keys.PORT_CONTROL), Answer)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        self._servers.append(server)


def _running(container: dict[str, Any]) -> dict[str, Any]:
    ended = container.get("restartPolicy") is None and container["name"] == keys.CONTAINER_INJECT
    now = "2026-01-01T00:00:00Z"
    state = {"terminated": {"exitCode": 0, "startedAt": now, "finishedAt": now}} if ended else {}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "containerID": f"fake://{container['name']}",
        "ready": True,
        "started": not ended,
        "restartCount": 0,
        "state": state or {"running": {"startedAt": now}},
    }
