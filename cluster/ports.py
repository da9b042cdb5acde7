"""Find free ports, and say who holds a port that is taken."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from cluster.errors import UnmetError

NODE_TCP = {6443: "the API server", 10250: "the kubelet", 10249: "kube-proxy", 10256: "kube-proxy", 53: "DNS"}
NODE_UDP = {53: "DNS"}
_LISTENING = {"tcp": "0A", "udp": "07"}


def free(count: int) -> list[int]:
    """As many loopback ports as asked, held open together so that they differ, then let go."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def check() -> None:
    """Refuse a machine where a program listens on every address, so also on the node's, at a port that it needs."""
    for protocol, needed in (("tcp", NODE_TCP), ("udp", NODE_UDP)):
        for port, inode in _wildcard_listeners(protocol):
            if port in needed:
                raise UnmetError(
                    f"port {port}/{protocol}, which {needed[port]} needs, is in use by {_holder(inode)}",
                    "stop that program, or bind it to one address",
                )


def _wildcard_listeners(protocol: str) -> list[tuple[int, str]]:
    found = []
    for table in (Path(f"/proc/net/{protocol}"), Path(f"/proc/net/{protocol}6")):
        with contextlib.suppress(FileNotFoundError):
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                address, port = fields[1].split(":")
                if not int(address, 16) and fields[3] == _LISTENING[protocol]:
                    found.append((int(port, 16), fields[9]))
    return found


def _holder(inode: str) -> str:
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(link.readlink()) == f"socket:[{inode}]":
                folder = link.parents[1]
                return f"{(folder / 'comm').read_text().strip()} (pid {folder.name})"
    return "a program that is not readable"
