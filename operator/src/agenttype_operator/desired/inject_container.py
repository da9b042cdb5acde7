"""The init container that puts the wrapper beside the agent."""

from agenttype_api import keys, names

from agenttype_operator.desired import security
from agenttype_operator.desired.metadata import Raw
from agenttype_operator.settings import Images


def inject_container(images: Images) -> Raw:
    """Container that copies the wrapper into the library volume and ends; the agent mounts that read-only."""
    return {
        "name": keys.CONTAINER_INJECT,
        "image": images.wrapper,
        "imagePullPolicy": images.pull_policy,
        "args": ["--to", keys.WRAPPER_ROOT],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": security.restricted(names.INJECT_UID),
        "volumeMounts": [{"name": keys.VOLUME_LIB, "mountPath": keys.WRAPPER_ROOT}],
    }
