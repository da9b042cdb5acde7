"""What an agent's pod template may not do, as CEL rules that the API server itself enforces.

Each rule protects either a name that we need in the pod, or the wall between the agent and the sidecar's
credentials. The paths that a rule walks are bounded in `BOUNDS`, or the API server would refuse its cost.
"""

from typing import Any

from pydantic import JsonValue

from agenttype_api import keys
from agenttype_api.schema import cel

#: (path inside PodTemplateSpec, bound, value); `[]` stands for the items of a list.
BOUNDS: list[tuple[str, str, int]] = [
    ("spec.containers", "maxItems", 16),
    ("spec.initContainers", "maxItems", 16),
    ("spec.volumes", "maxItems", 64),
    ("spec.volumes[].name", "maxLength", 63),
    ("spec.volumes[].projected.sources", "maxItems", 16),
    ("spec.volumes[].projected.sources[].serviceAccountToken.audience", "maxLength", 256),
    *(
        (f"spec.{group}[].{path}", bound, value)
        for group in ("containers", "initContainers")
        for path, bound, value in (
            ("name", "maxLength", 63),
            ("env", "maxItems", 256),
            ("env[].name", "maxLength", 256),
            ("ports", "maxItems", 32),
            ("volumeMounts", "maxItems", 64),
            ("volumeMounts[].mountPath", "maxLength", 512),
        )
    ),
]

_PORTS = ", ".join(str(port) for port in keys.RESERVED_PORTS)
#: Variables of ours that are the user's to set: the wrapper off, or its failures shown.
_SWITCHES = f'["{keys.ENV_WRAPPER}", "{keys.ENV_DEBUG}"]'
_ROOT = keys.WRAPPER_ROOT
_POD = "self.template.spec"


def _each(rule: str, message: str) -> list[dict[str, Any]]:
    """Write a rule about one container `c` for the containers and the init containers."""
    return [
        cel(f"{_POD}.containers.all(c, {rule})", message),
        cel(f"!has({_POD}.initContainers) || {_POD}.initContainers.all(c, {rule})", message),
    ]


def _unset(field: str, reason: str) -> dict[str, Any]:
    return cel(f"!has({_POD}.{field}) || !{_POD}.{field}", f"template.spec.{field} must not be true: {reason}")


POD_RULES: list[JsonValue] = [
    cel(
        f'{_POD}.containers.exists_one(c, c.name == "{keys.CONTAINER_AGENT}")',
        'template.spec.containers must have exactly one container named "agent"',
    ),
    *_each(
        f'!c.name.startsWith("{keys.RESERVED_PREFIX}")',
        f'container names that start with "{keys.RESERVED_PREFIX}" are reserved; choose another name',
    ),
    *_each(
        f'!has(c.env) || c.env.all(e, !e.name.startsWith("{keys.ENV_PREFIX}") || e.name in {_SWITCHES})',
        f'environment variables that start with "{keys.ENV_PREFIX}" are reserved; choose another name',
    ),
    *_each(
        f"!has(c.ports) || c.ports.all(p, !(p.containerPort in [{_PORTS}]))",
        f"container ports {_PORTS} are reserved for the sidecar; choose another port",
    ),
    *_each(
        f'!has(c.volumeMounts) || c.volumeMounts.all(m, m.mountPath != "{_ROOT}" && '
        f'!m.mountPath.startsWith("{_ROOT}/"))',
        f"nothing may be mounted at {_ROOT}: the wrapper lies there; choose another mountPath",
    ),
    *_each(
        "!has(c.securityContext) || !has(c.securityContext.privileged) || !c.securityContext.privileged",
        "privileged containers are refused: they could read the sidecar's credentials",
    ),
    cel(
        f'!has({_POD}.volumes) || {_POD}.volumes.all(v, !v.name.startsWith("{keys.RESERVED_PREFIX}"))',
        f'volume names that start with "{keys.RESERVED_PREFIX}" are reserved; choose another name',
    ),
    cel(
        f"!has({_POD}.volumes) || {_POD}.volumes.all(v, !has(v.projected) || !has(v.projected.sources) || "
        "v.projected.sources.all(s, !has(s.serviceAccountToken) || !has(s.serviceAccountToken.audience) || "
        f'!(s.serviceAccountToken.audience in ["{keys.TOKEN_AUDIENCE}", "{keys.NATS_AUDIENCE}"])))',
        f'a token for the audience "{keys.TOKEN_AUDIENCE}" or "{keys.NATS_AUDIENCE}" must not be mounted by the '
        "template: only the sidecar may call the model server and NATS",
    ),
    _unset("hostNetwork", "the sidecar's ports and identity would be shared with the node"),
    _unset("hostPID", "the agent could read the sidecar's credentials"),
    _unset("hostIPC", "the agent could reach the sidecar's memory"),
    _unset("shareProcessNamespace", "the agent could read the sidecar's credentials"),
    _unset("automountServiceAccountToken", "the agent must not hold a token of its pod"),
    cel(
        f'!has({_POD}.serviceAccountName) || {_POD}.serviceAccountName == ""',
        "template.spec.serviceAccountName must be empty: every AgentType has a ServiceAccount of its own name, "
        "to which roles can be bound",
    ),
    cel(
        f'!has({_POD}.restartPolicy) || {_POD}.restartPolicy == "Always"',
        "template.spec.restartPolicy must be Always or absent: the workload is a Deployment",
    ),
    cel(
        "!has(self.template.metadata) || !has(self.template.metadata.labels) || "
        f'self.template.metadata.labels.all(k, !k.startsWith("{keys.PREFIX}"))',
        f'labels that start with "{keys.PREFIX}" are reserved; choose another prefix',
    ),
    cel(
        "!has(self.template.metadata) || !has(self.template.metadata.annotations) || "
        f'self.template.metadata.annotations.all(k, !k.startsWith("{keys.PREFIX}"))',
        f'annotations that start with "{keys.PREFIX}" are reserved; choose another prefix',
    ),
]
