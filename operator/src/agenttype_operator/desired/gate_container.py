"""The gate: the front door of a backend's pod."""

from agenttype_api import keys, names, v1alpha1

from agenttype_operator.desired import engine_container, security
from agenttype_operator.desired.metadata import Raw
from agenttype_operator.settings import Images

#: Where every client library looks for the pod's own token.
_API_TOKEN_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 — a folder


def gate_container(vllm: v1alpha1.VllmBackend, images: Images) -> Raw:
    """Container of the gate; it alone of the pod holds a token for the API server, to review callers' tokens."""
    mounts: list[Raw] = [
        {"name": keys.VOLUME_POLICY, "mountPath": keys.POLICY_DIR, "readOnly": True},
        {"name": keys.VOLUME_API_TOKEN, "mountPath": _API_TOKEN_DIR, "readOnly": True},
    ]
    if vllm.lora:
        mounts += [
            {"name": vllm.lora.volume, "mountPath": keys.ADAPTER_SOURCE_DIR, "readOnly": True},
            {"name": keys.VOLUME_ADAPTERS, "mountPath": keys.ADAPTERS_DIR},
        ]
    arguments: list[str] = []
    model = _model_mount(vllm)
    if vllm.lora and model:
        mounts.append(model)
        arguments = ["--base-config", f"{vllm.model}/config.json"]
    return {
        "name": keys.CONTAINER_GATE,
        "image": images.gate,
        **({"args": arguments} if arguments else {}),
        "imagePullPolicy": images.pull_policy,
        "ports": [
            {"name": "agenttype-gate", "containerPort": keys.PORT_GATE, "protocol": "TCP"},
            {"name": "agenttype-ctl", "containerPort": keys.PORT_CONTROL, "protocol": "TCP"},
        ],
        "readinessProbe": _probe("/readyz", periodSeconds=2, failureThreshold=3),
        "livenessProbe": _probe("/healthz", periodSeconds=10, failureThreshold=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": engine_container.DRAIN_SECONDS}}},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": security.restricted(names.GATE_UID),
        "volumeMounts": mounts,
    }


def _model_mount(vllm: v1alpha1.VllmBackend) -> Raw | None:
    """Return the engine's mount in which its model lies, read-only; None where the engine downloads the model.

    With the model's config.json the keeper checks every adapter's shapes; the engine would load a wrong one.
    """
    for mount in engine_container.written(vllm).get("volumeMounts") or ():
        path = mount["mountPath"].rstrip("/")
        if vllm.model == path or vllm.model.startswith(f"{path}/"):
            return {**mount, "readOnly": True}
    return None


def _probe(path: str, **times: int) -> Raw:
    return {"httpGet": {"path": path, "port": keys.PORT_HEALTH}, "timeoutSeconds": 2, **times}


def api_token_volume() -> Raw:
    """Volume of the gate's own API token, in the shape in which it is usually mounted everywhere."""
    return {
        "name": keys.VOLUME_API_TOKEN,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": keys.TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
            ]
        },
    }
