"""The workload of a backend that we run: the engine and, in front of it, the gate."""

import copy

from agenttype_api import keys, names, v1alpha1

from agenttype_operator.desired import engine_container, gate_container, metadata, security
from agenttype_operator.desired.metadata import Raw
from agenttype_operator.settings import Images

#: Longer than the longest answer that a client waits for is not worth holding a GPU; peers use the same figure.
_GRACE_SECONDS = 130


def backend_deployment(backend: v1alpha1.ModelBackend, vllm: v1alpha1.VllmBackend, images: Images) -> Raw:
    """Deployment of a backend; it is replaced rather than rolled, since a second engine would need a second GPU."""
    return {
        **metadata.child(backend, "apps/v1", "Deployment", names.backend_workload(backend)),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": metadata.selector(backend)},
            "strategy": {"type": "Recreate"},
            "template": _template(backend, vllm, images),
        },
    }


def _template(backend: v1alpha1.ModelBackend, vllm: v1alpha1.VllmBackend, images: Images) -> Raw:
    template = copy.deepcopy(vllm.template or {})
    written = template.get("metadata") or {}
    spec = template.get("spec") or {}
    init = [security.with_defaults(container) for container in spec.get("initContainers") or ()]
    return {
        "metadata": {
            "labels": {**(written.get("labels") or {}), **metadata.labels(backend)},
            "annotations": {
                keys.ANNOTATION_DEFAULT_CONTAINER: keys.CONTAINER_ENGINE,
                **(written.get("annotations") or {}),
            },
        },
        "spec": {
            "terminationGracePeriodSeconds": _GRACE_SECONDS,
            **spec,
            "serviceAccountName": names.backend_workload(backend),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,  # a Service named vllm would set VLLM_PORT, which breaks vLLM
            "securityContext": security.pod_with_defaults(spec),
            **({"initContainers": init} if init else {}),
            "containers": [
                engine_container.engine_container(backend, vllm),
                gate_container.gate_container(vllm, images),
            ],
            "volumes": [*(spec.get("volumes") or ()), *_volumes(backend, vllm)],
        },
    }


def _volumes(backend: v1alpha1.ModelBackend, vllm: v1alpha1.VllmBackend) -> list[Raw]:
    volumes: list[Raw] = [
        {"name": keys.VOLUME_POLICY, "configMap": {"name": names.gate_config_map(backend)}},
        {"name": keys.VOLUME_SHM, "emptyDir": {"medium": "Memory"}},
        gate_container.api_token_volume(),
    ]
    if vllm.lora:
        volumes.append({"name": keys.VOLUME_ADAPTERS, "emptyDir": {}})
    return volumes
