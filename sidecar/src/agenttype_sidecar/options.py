"""What can be chosen at start."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agenttype_api import keys


@dataclass(frozen=True)
class Options:
    """One start's choices; port 0 takes a free one."""

    policy: Path
    ledger: Path
    token: Path
    nats_token: Path
    credentials: Path
    data_host: str
    data_port: int
    host: str
    health_port: int
    control_port: int
    drain_seconds: float


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; the defaults are those of the pod."""
    parser = argparse.ArgumentParser(prog="agenttype_sidecar", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--policy", type=Path, default=Path(keys.POLICY_DIR, keys.POLICY_FILE), help="the policy document")
    add("--ledger", type=Path, default=Path(keys.LEDGER_DIR), help="folder of the ledger; outlives the process")
    add("--token", type=Path, default=Path(keys.TOKEN_DIR, keys.TOKEN_FILE), help="the pod's token for gates")
    add(
        "--nats-token",
        type=Path,
        default=Path(keys.TOKEN_DIR, keys.NATS_TOKEN_FILE),
        help="the pod's token for NATS; not there: none is sent",
    )
    add("--credentials", type=Path, default=Path(keys.CREDENTIALS_DIR), help="folder of API keys")
    add("--data-host", default="127.0.0.1", help="where the agent calls")
    add("--data-port", type=int, default=keys.PORT_DATA)
    add("--host", default="0.0.0.0", help="where health and control answer")  # noqa: S104 — the kubelet asks from outside
    add("--health-port", type=int, default=keys.PORT_HEALTH)
    add("--control-port", type=int, default=keys.PORT_CONTROL)
    add("--drain-seconds", type=float, default=20.0, help="how long calls may go on after SIGTERM")
    return Options(**vars(parser.parse_args(arguments)))
