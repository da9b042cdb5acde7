"""The command-line options of the gate."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agenttype_api import keys
from agenttype_proxy.messages import Origin

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True)
class Options:
    """The parsed options; durations are in seconds, sizes in bytes."""

    policy: Path
    engine: Origin
    adapter_source: Path
    adapters: Path
    base_config: Path | None
    host: str
    gate_port: int
    health_port: int
    control_port: int
    api_server: Origin
    api_token: Path
    api_ca: Path
    max_concurrent: int
    max_body: int
    max_held: int
    max_adapter: int
    check_seconds: float
    first_byte_seconds: float
    idle_seconds: float
    linger_seconds: float
    lame_duck_seconds: float
    drain_seconds: float


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Read the command line; the API server defaults to the one of the pod's own cluster."""
    parser = argparse.ArgumentParser(prog="agenttype_gate", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--policy", type=Path, default=Path(keys.POLICY_DIR, keys.GATE_POLICY_FILE), help="the gate document")
    add("--engine", type=_origin, default=f"http://127.0.0.1:{keys.PORT_ENGINE}", help="where the engine listens")
    add("--adapter-source", type=Path, default=Path(keys.ADAPTER_SOURCE_DIR), help="the volume of adapters, read only")
    add("--adapters", type=Path, default=Path(keys.ADAPTERS_DIR), help="the volume shared with the engine")
    add("--base-config", type=Path, help="the base model's config.json, to check adapters' shapes against")
    add("--host", default="0.0.0.0", help="address of every port")  # noqa: S104 — a pod's front door
    add("--gate-port", type=int, default=keys.PORT_GATE, help="the data path; 0 takes a free port, as for all ports")
    add("--health-port", type=int, default=keys.PORT_HEALTH)
    add("--control-port", type=int, default=keys.PORT_CONTROL)
    add("--api-server", type=_origin, default=_in_cluster(environment), help="where tokens are reviewed")
    add("--api-token", type=Path, default=Path(_ACCOUNT, "token"), help="the gate's own token; re-read, it rotates")
    add("--api-ca", type=Path, default=Path(_ACCOUNT, "ca.crt"), help="the certificate authority of the API server")
    add("--max-concurrent", type=int, default=256, help="calls at the engine at once, shared fairly by the agents")
    add("--max-body", type=int, default=16 * 1024 * 1024, help="largest request body")
    add("--max-held", type=int, default=128 * 1024 * 1024, help="request bodies held in memory, all together")
    add("--max-adapter", type=int, default=8 * 1024**3, help="largest adapter folder")
    add("--check-seconds", type=float, default=5.0, help="seconds between two checks of the engine while all is well")
    add("--first-byte-seconds", type=float, default=600.0, help="longest wait for the engine's answer to begin")
    add("--idle-seconds", type=float, default=300.0, help="longest silence of the engine within an answer")
    add(
        "--linger-seconds",
        type=float,
        default=90.0,
        help="seconds that a replaced version of an adapter is still served",
    )
    add(
        "--lame-duck-seconds", type=float, default=0.0, help="on SIGTERM: seconds of unreadiness before the ports close"
    )
    add("--drain-seconds", type=float, default=100.0, help="on SIGTERM: longest wait for calls in flight")
    given = vars(parser.parse_args(arguments))
    if given["api_server"] is None:
        parser.error("--api-server is needed outside a cluster (KUBERNETES_SERVICE_HOST is not set)")
    return Options(**given)


def _origin(url: str) -> Origin:
    try:
        return Origin.parse(url)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _in_cluster(environment: Mapping[str, str]) -> str | None:
    host = environment.get("KUBERNETES_SERVICE_HOST")
    if not host:
        return None
    port = environment.get("KUBERNETES_SERVICE_PORT_HTTPS") or environment.get("KUBERNETES_SERVICE_PORT") or "443"
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
