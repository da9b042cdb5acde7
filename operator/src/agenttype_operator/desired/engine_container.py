"""The engine: vLLM, reachable from its own pod only."""

from typing import Final

from agenttype_api import keys, names, v1alpha1

from agenttype_operator.desired import security
from agenttype_operator.desired.metadata import Raw

#: Slots for distinct adapters in one batch; each is allocated at start, so more than this costs the KV cache too much.
_MOST_SLOTS: Final = 32
#: Time for a Service's endpoints to forget a pod before it stops.
DRAIN_SECONDS: Final = 10
#: A user's values win over these. The folders let any uid, without a home or a name in /etc/passwd, start vLLM.
_DEFAULTS: Final = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HOME": "/tmp",  # noqa: S108 — the container's own
    "USER": "engine",
    "TORCHINDUCTOR_CACHE_DIR": "/tmp/torchinductor",  # noqa: S108
}


def engine_container(backend: v1alpha1.ModelBackend, vllm: v1alpha1.VllmBackend) -> Raw:
    """Container of the engine: the template's container named engine, overlaid with what the gate relies on.

    Its probes run inside it: it listens on loopback only, where the kubelet cannot reach it, and a probe through the
    gate would restart an engine, which takes minutes, whenever the gate is ill.
    """
    base = written(vllm)
    mounts = [
        *(base.get("volumeMounts") or ()),
        {"name": keys.VOLUME_SHM, "mountPath": "/dev/shm"},  # noqa: S108 — vLLM's processes share memory there
    ]
    if vllm.lora:
        mounts.append({"name": keys.VOLUME_ADAPTERS, "mountPath": keys.ADAPTERS_DIR, "readOnly": True})
    container: Raw = {
        "startupProbe": _probe(periodSeconds=5, failureThreshold=240),
        "livenessProbe": _probe(periodSeconds=10, failureThreshold=5),
        "lifecycle": {"preStop": _after_the_gate()},
        **base,
        "name": keys.CONTAINER_ENGINE,
        "image": vllm.image,
        "args": [*_arguments(backend, vllm), *(base.get("args") or ()), *vllm.args],
        "env": _environment(base, vllm),
        "volumeMounts": mounts,
    }
    if vllm.resources:
        container["resources"] = vllm.resources
    return security.with_defaults(_with_user(container, vllm))


def _arguments(backend: v1alpha1.ModelBackend, vllm: v1alpha1.VllmBackend) -> list[str]:
    arguments = [
        *("--model", vllm.model),
        *("--served-model-name", names.base_model(backend)),
        *("--max-model-len", str(vllm.max_model_len)),
        *("--host", "127.0.0.1"),
        *("--port", str(keys.PORT_ENGINE)),
    ]
    if vllm.lora:
        arguments += [
            "--enable-lora",
            *("--max-loras", str(min(vllm.lora.max_adapters, _MOST_SLOTS))),
            # Fewer than are loaded would make the engine read files again in the middle of its work.
            *("--max-cpu-loras", str(vllm.lora.max_adapters)),
            *("--max-lora-rank", str(vllm.lora.max_rank)),
        ]
    return arguments


def _environment(written: Raw, vllm: v1alpha1.VllmBackend) -> list[Raw]:
    needed = {"VLLM_PLUGINS": ""}  # no resolver: the keeper alone decides what is loaded
    if vllm.lora:
        needed["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
    theirs = [entry for entry in written.get("env") or () if entry["name"] not in needed]
    said = {entry["name"] for entry in theirs}
    ours = {**needed, **{name: value for name, value in _DEFAULTS.items() if name not in said}}
    return [*({"name": name, "value": value} for name, value in ours.items()), *theirs]


def _with_user(container: Raw, vllm: v1alpha1.VllmBackend) -> Raw:
    """Run the engine as a user of its own unless the template says otherwise."""
    pod = ((vllm.template or {}).get("spec") or {}).get("securityContext") or {}
    said = container.get("securityContext") or {}
    if "runAsUser" in pod or "runAsUser" in said:
        return container
    own = {"runAsUser": names.ENGINE_UID, "runAsGroup": names.ENGINE_UID, "runAsNonRoot": True}
    return {**container, "securityContext": {**own, **said}}


def written(vllm: v1alpha1.VllmBackend) -> Raw:
    """Return the template's container named engine, empty where there is none."""
    spec = (vllm.template or {}).get("spec") or {}
    for container in spec.get("containers") or ():
        if container["name"] == keys.CONTAINER_ENGINE:
            return dict(container)
    return {}


def _after_the_gate() -> Raw:
    """Hook that keeps the engine until the gate has closed its door: the gate's last calls need it."""
    script = (
        "import socket, time\n"
        "while True:\n"
        f"    try: socket.create_connection(('127.0.0.1', {keys.PORT_HEALTH}), 1).close()\n"
        "    except OSError: break\n"
        "    time.sleep(0.5)"
    )
    return {"exec": {"command": ["python3", "-c", script]}}


def _probe(**times: int) -> Raw:
    url = f"http://127.0.0.1:{keys.PORT_ENGINE}/health"
    script = f"import urllib.request as u; u.urlopen('{url}', timeout=4)"
    return {"exec": {"command": ["python3", "-c", script]}, "timeoutSeconds": 5, **times}
