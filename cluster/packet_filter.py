"""Packet rules: our own table lets pods out to the world; kube-proxy's tables are ours to remove, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster import commands
from cluster.errors import UnmetError

if TYPE_CHECKING:
    from cluster.components import Network
    from cluster.journal import Journal, Record

_TABLE, _FORWARD = "nft table", "iptables forward"
_OURS = "ip agenttype-cluster"
_OF_KUBE_PROXY = ("ip kube-proxy", "ip6 kube-proxy")


def masquerade(network: Network) -> str:
    """Pure: the rules by which a pod that leaves the cluster takes the host's address."""
    inside = ", ".join(network.ranges)
    return f"""table {_OURS} {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {network.pods} ip daddr != {{ {inside} }} masquerade
    }}
}}
"""


def check() -> None:
    """Refuse a machine where another kube-proxy writes its rules."""
    tables = commands.output("nft", "list", "tables").splitlines()
    for name in (_OURS, *_OF_KUBE_PROXY):
        if f"table {name}" in tables:
            raise UnmetError(
                f"an nftables table `{name}` exists that no cluster of this tool recorded", f"nft delete table {name}"
            )


def make(network: Network, journal: Journal) -> None:
    """Add our table, and our exceptions where the host drops what it forwards (Docker's default)."""
    for name in (*_OF_KUBE_PROXY, _OURS):
        journal.effect(_TABLE, name)
    commands.output("nft", "-f", "-", given=masquerade(network))
    if commands.find("iptables") and _drops_forwarded():
        for direction in ("-s", "-d"):
            rule = f"FORWARD {direction} {network.pods} -j ACCEPT"
            journal.effect(_FORWARD, rule)
            chain, *match = rule.split()
            commands.output("iptables", "-I", chain, *match)


def _drops_forwarded() -> bool:
    return "-P FORWARD DROP" in commands.output("iptables", "-S", "FORWARD")


def undo(record: Record) -> None:
    """Remove every table and rule that was recorded and is there."""
    for rule in record.names(_FORWARD):
        while commands.succeeds("iptables", "-D", *rule.split()):
            pass
    if names := record.names(_TABLE):
        tables = commands.output("nft", "list", "tables").splitlines()
        for name in names:
            if f"table {name}" in tables:
                commands.output("nft", "delete", "table", *name.split())
