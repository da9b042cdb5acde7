"""What a kubelet and our containers would say, for a control plane that has no node."""

import contextlib
import json
import os
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agenttype_api import keys

from support.operators import Control
from support.waiting import until


class FakeNode:
    """Starts pods on loopback addresses and answers for their control ports; a test may change the answers."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._addresses = 1
        self.says: dict[str, dict[str, Any]] = {}
        """Per address: path of the control API → JSON body."""
        self.asked: list[str] = []
        """Addresses that were asked how it is now."""
        self.polled: list[str] = []
        """Addresses that were asked for news."""
        self._changed = threading.Condition()
        self._closing = False
        self._servers: list[ThreadingHTTPServer] = []

    def close(self) -> None:
        """Stop answering."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def tell(self, address: str, path: str, answer: dict[str, Any]) -> None:
        """Let a control port say something else, with a sequence that is higher than before."""
        with self._changed:
            sequence = self.says[address].get(path, {}).get("sequence", 0) + 1
            self.says[address] = {path: {**answer, "sequence": sequence}}
            self._changed.notify_all()

    def start(self, namespace: str, label: str, path: str, answer: dict[str, Any]) -> str:
        """Let the only pod of a label run and its control port answer; return its address."""
        until(lambda: len(self._pods(namespace, label)) == 1, lambda: f"no single pod {label} in {namespace}")
        [pod] = self._pods(namespace, label)
        self._addresses += 1
        address = f"127.{os.getpid() // 250 % 250}.{1 + os.getpid() % 250}.{self._addresses}"  # of this process alone
        self.says[address] = {path: answer}
        self._serve(address)
        self._set_status(pod, address)
        return address

    def _answer(self, address: str, target: str) -> bytes:
        """Return what a control port says, for a long poll once it is newer than the sequence that is known."""
        parts = urllib.parse.urlsplit(target)
        query = urllib.parse.parse_qs(parts.query)
        after, wait = (float(query.get(name, [default])[0]) for name, default in (("after", "-1"), ("wait", "0")))
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or self.says[address][parts.path].get("sequence", 0) > after, timeout=wait
            )
            return json.dumps(self.says[address][parts.path]).encode()

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
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # who waits may leave
                    super().handle()

            def do_GET(self) -> None:
                (node.polled if "?" in self.path else node.asked).append(address)
                body = node._answer(address, self.path)
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
