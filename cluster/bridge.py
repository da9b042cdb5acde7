"""The bridge that carries the node's address, so that no address or port of the host is used."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING

from cluster import commands
from cluster.errors import UnmetError

if TYPE_CHECKING:
    from cluster.components import Network
    from cluster.journal import Journal, Record

KIND = "link"


def check(network: Network) -> None:
    """Refuse a machine where the name or the addresses are taken; run it when no cluster of ours is up."""
    if commands.succeeds("ip", "link", "show", "dev", network.link):
        raise UnmetError(
            f"a network link {network.link} exists that no cluster of this tool recorded",
            f"ip link delete {network.link}",
        )
    ours = [ipaddress.ip_network(text, strict=False) for text in network.ranges]
    for route in json.loads(commands.output("ip", "-json", "-4", "route", "show", "table", "all")):
        if route.get("dst", "default") == "default" or route.get("dev") == "lo":
            continue
        taken = ipaddress.ip_network(route["dst"], strict=False)
        if clash := next((one for one in ours if one.overlaps(taken)), None):
            raise UnmetError(
                f"the range {clash}, which the cluster needs, is routed to {route.get('dev', 'another place')}",
                f"remove the route {taken}",
            )


def make(network: Network, journal: Journal) -> None:
    """Make the bridge; a device of type `dummy` would say more, but not every kernel has it."""
    journal.effect(KIND, network.link)
    commands.output("ip", "link", "add", network.link, "type", "bridge")
    commands.output("ip", "address", "add", f"{network.address}/{network.prefix}", "dev", network.link)
    commands.output("ip", "link", "set", network.link, "up")


def undo(record: Record) -> None:
    """Remove it, with the address and the routes that hang on it."""
    for name in record.names(KIND):
        if commands.succeeds("ip", "link", "show", "dev", name):
            commands.output("ip", "link", "delete", name)
