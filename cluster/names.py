"""Ask a DNS server one question, as a pod would."""

from __future__ import annotations

import secrets
import socket
import struct

_HEADER = ">HHHHHH"
_RECURSION_DESIRED = 0x0100
_TYPE_A_CLASS_IN = (1, 1)
_TIMEOUT_SECONDS = 0.5


def question(name: str, identity: int) -> bytes:
    """Pure: a query for the IPv4 address of a name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    header = struct.pack(_HEADER, identity, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack(">HH", *_TYPE_A_CLASS_IN)


def answered_with(answer: bytes, identity: int, address: str) -> bool:
    """Pure: whether an answer is to our query, without error, and ends in the one expected address."""
    if len(answer) < struct.calcsize(_HEADER):
        return False
    got, flags, _, count, _, _ = struct.unpack_from(_HEADER, answer)
    return got == identity and not flags & 0x000F and count >= 1 and socket.inet_aton(address) in answer


def resolves(server: str, name: str, address: str) -> bool:
    """Whether the server gives this address for the name now."""
    identity = secrets.randbelow(2**16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(_TIMEOUT_SECONDS)
        try:
            connection.connect((server, 53))
            connection.send(question(name, identity))
            return answered_with(connection.recv(4096), identity, address)
        except OSError:
            return False
