"""Ports for programs that must be told theirs."""

import random
import socket

#: Below the range from which the system takes ports for connections, where one that was free is soon another's.
_FIRST, _LAST = 16_384, 32_767


def free_port() -> int:
    """A port of loopback where nobody listens, and nobody will before whoever it is for."""
    while True:
        port = random.randint(_FIRST, _LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
