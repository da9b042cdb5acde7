"""The sidecar: the only way out of the pod."""

from agenttype_api import keys, names, v1alpha1

from agenttype_operator.desired import security
from agenttype_operator.desired.metadata import Raw
from agenttype_operator.settings import Images


def sidecar_container(agent: v1alpha1.AgentType, images: Images, *, credentials: bool) -> Raw:
    """Container of the sidecar, a native one: it starts before the agent and ends after it.

    Its probes ask for local state only (listener bound, policy loaded): a slow model server must neither keep the
    agent from starting nor take it out of its Service.

    Args:
        agent: whose pod it is.
        images: which image.
        credentials: whether a volume with API keys of external backends is there to mount.
    """
    mounts = [
        {"name": keys.VOLUME_POLICY, "mountPath": keys.POLICY_DIR, "readOnly": True},
        {"name": keys.VOLUME_TOKEN, "mountPath": keys.TOKEN_DIR, "readOnly": True},
        {"name": keys.VOLUME_LEDGER, "mountPath": keys.LEDGER_DIR},
    ]
    if credentials:
        mounts.append({"name": keys.VOLUME_CREDENTIALS, "mountPath": keys.CREDENTIALS_DIR, "readOnly": True})
    return {
        "name": keys.CONTAINER_SIDECAR,
        "image": images.sidecar,
        "imagePullPolicy": images.pull_policy,
        "restartPolicy": "Always",
        "ports": [{"name": "agenttype-ctl", "containerPort": keys.PORT_CONTROL, "protocol": "TCP"}],
        # A crowded node may take minutes for what is half a second of work; starting again would not make it faster.
        "startupProbe": _probe("/started", periodSeconds=1, failureThreshold=300),
        "readinessProbe": _probe("/readyz", periodSeconds=5, failureThreshold=3),
        "livenessProbe": _probe("/healthz", periodSeconds=10, failureThreshold=6),
        # Leaves the Service at once, but goes on answering the agent, whose last calls count too.
        "lifecycle": {"preStop": {"httpGet": {"path": "/drain", "port": keys.PORT_HEALTH}}},
        "resources": {"requests": {"cpu": "25m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": security.restricted(names.sidecar_uid(agent.metadata.uid)),
        "volumeMounts": mounts,
    }


def _probe(path: str, **times: int) -> Raw:
    return {"httpGet": {"path": path, "port": keys.PORT_HEALTH}, "timeoutSeconds": 2, **times}
