"""Who is compared in bench/sidecar.py, and how each is started; every peer is the newest of its registry, pinned.

Peers other than ours live in environments of their own, made by uv in the user's cache from peers/*.txt: nothing of
them is in the project's lock. To move one: run the command at the top of its list.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from agenttype_api import policy as api  # noqa: E402 — the path above leads to what follows
from agenttype_api.v1alpha1 import RuleAction, RuleTarget  # noqa: E402
from support.programs.sidecars import TOKEN, a_limit, a_policy, command, write_policy  # noqa: E402

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "agenttype", "bench")
MODELS = ("json", "burst", "paced", "short", "hold")
"""Names by which the upstream knows what to answer."""
KEYS = "AKIA[0-9A-Z]{16}"
PLENTY = 10**9


@dataclass(frozen=True)
class Place:
    """Where one start of a peer finds everything.

    Attributes:
        folder: An empty one, its own.
        upstream: URL without path.
        port: Where it must listen.
        ready_port: Where it must say that it is ready; some say so on `port`.
    """

    folder: Path
    upstream: str
    port: int
    ready_port: int


@dataclass(frozen=True)
class Peer:
    """One way from the caller to the upstream.

    Attributes:
        name: In the results.
        title: In tables and pictures.
        what: What it does with a call.
        start: Makes its files and returns its command line.
        ready: Path that answers 200 once calls are taken; with `own_ready_port` on a port of its own.
        environment: Added to ours.
        slow: Whether it answers so few calls that it needs longer slices, and gets fewer of them.
    """

    name: str
    title: str
    what: str
    start: Callable[[Place], list[str]]
    ready: str
    own_ready_port: bool = False
    environment: tuple[tuple[str, str], ...] = ()
    slow: bool = False


def environment(name: str) -> Path:
    """Return the virtual environment that holds what peers/<name>.txt lists; made when it is missing."""
    uv = shutil.which("uv") or sys.exit("uv is missing; install it with: pip install uv")
    wanted = HERE / "peers" / f"{name}.txt"
    place = CACHE / f"{name}-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]}"
    if not (place / "complete").exists():
        print(f"making an environment with {name} (once)", flush=True)
        python = str(place / "bin" / "python")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", "3.11", str(place)], check=True)
        subprocess.run([uv, "pip", "sync", "--quiet", "--python", python, str(wanted)], check=True)
        (place / "complete").touch()
    return place


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _sidecar(place: Place) -> list[str]:
    policy = a_policy(
        place.upstream,
        limits=(a_limit(PLENTY * PLENTY),),
        backends=(_backend(place.upstream),),
        routes=(api.Route(match=("*",), backend="shared"),),
        rules=(api.Rule(name="no-keys", applies_to=(RuleTarget.LLM_REQUEST,), matches=KEYS, action=RuleAction.DENY),),
        rate_limits=api.RateLimits(
            requests_per_minute=PLENTY, tokens_per_minute=PLENTY * PLENTY, max_concurrent=PLENTY
        ),
    )
    write_policy(place.folder, policy)
    (place.folder / "token").write_text(TOKEN)
    return command(place.folder, data_port=place.port, health_port=place.ready_port)


def _backend(url: str) -> api.Backend:
    return api.Backend(
        name="shared",
        url=url,
        protocols=(api.WireProtocol.OPENAI,),
        credential=api.Credential.POD_TOKEN,
        counts_bytes=True,
        max_model_len=131_072,
    )


def _room(place: Place) -> list[str]:
    return [sys.executable, str(HERE / "proxy_passthrough.py"), place.upstream, str(place.port)]


def _fastapi(place: Place) -> list[str]:
    python = environment("fastapi") / "bin" / "python"
    return [str(python), str(HERE / "peers" / "passthrough.py"), place.upstream, str(place.port)]


def _litellm(place: Place, **more: Any) -> list[str]:
    config = {"model_list": [_litellm_model(place.upstream, name) for name in MODELS], **more}
    file = place.folder / "config.yaml"
    file.write_text(json.dumps(config))  # which is YAML too
    program = environment("litellm") / "bin" / "litellm"
    return [str(program), "--config", str(file), "--host", "127.0.0.1", "--port", str(place.port)]


def _litellm_model(upstream: str, name: str) -> dict[str, Any]:
    parameters = {
        "model": f"openai/{name}",
        "api_base": f"{upstream}/v1",
        "api_key": "placeholder",
        "rpm": PLENTY,
        "tpm": PLENTY,
        "input_cost_per_token": 1e-9,
        "output_cost_per_token": 1e-9,
    }
    return {"model_name": name, "litellm_params": parameters}


def _litellm_with_policy(place: Place) -> list[str]:
    pattern = {"pattern_type": "regex", "pattern": KEYS, "name": "no-keys", "action": "BLOCK"}
    rule = {"guardrail": "litellm_content_filter", "mode": "pre_call", "default_on": True, "patterns": [pattern]}
    return _litellm(
        place,
        litellm_settings={"callbacks": ["prometheus"]},
        router_settings={"provider_budget_config": {"openai": {"budget_limit": PLENTY, "time_period": "1d"}}},
        guardrails=[{"guardrail_name": "no-keys", "litellm_params": rule}],
        general_settings={"always_include_stream_usage": True},
    )


def _envoy(place: Place) -> list[str]:
    (binary,) = environment("envoy").glob("lib/python*/site-packages/envoy/_bin/envoy")
    file = place.folder / "envoy.json"
    file.write_text(json.dumps(_envoy_config(place)))
    return [str(binary), "--config-path", str(file), "--concurrency", "1", "--log-level", "error"]


def _envoy_config(place: Place) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.filters"
    router = {"name": "router", "typed_config": {"@type": f"{kind}.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}
    manager = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "calls",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [router],
    }
    upstream = _envoy_address(int(place.upstream.rpartition(":")[2]))
    listener = {
        "address": _envoy_address(place.port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    cluster = {
        "name": "upstream",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": upstream}}]}],
        },
    }
    return {
        "admin": {"address": _envoy_address(place.ready_port)},
        "static_resources": {"listeners": [{"name": "calls", **listener}], "clusters": [cluster]},
    }


def _envoy_address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


# Prices come with the package, and no key of ours is weak, because only this benchmark calls.
_ALONE = (("LITELLM_LOCAL_MODEL_COST_MAP", "True"), ("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true"))
_QUIET = (("LITELLM_LOG", "ERROR"), ("LITELLM_TELEMETRY", "False"))

PEERS = (
    Peer(
        "ours",
        "agenttype sidecar",
        "holds a token budget in its ledger, matches a rule, limits rates, meters, counts",
        _sidecar,
        "/readyz",
        own_ready_port=True,
    ),
    Peer("room", "our proxy room alone", "passes on; no policy", _room, "/readyz"),
    Peer("fastapi", "FastAPI + httpx", "passes on; no policy", _fastapi, "/readyz"),
    Peer(
        "litellm",
        "LiteLLM",
        "its proxy without budget, rule or metrics",
        _litellm,
        "/health/readiness",
        environment=_ALONE + _QUIET,
        slow=True,
    ),
    Peer(
        "litellm_policy",
        "LiteLLM + policy",
        "its proxy with a provider budget, a content filter, rate limits and Prometheus, all in memory",
        _litellm_with_policy,
        "/health/readiness",
        environment=_ALONE + _QUIET,
        slow=True,
    ),
    Peer("envoy", "Envoy", "passes on; no policy, one worker", _envoy, "/ready", own_ready_port=True),
)
