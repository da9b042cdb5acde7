"""Every string that two rooms share, once: labels, ports, paths, volume, container and environment names."""

from typing import Final

GROUP: Final = "agenttype.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
FIELD_MANAGER: Final = "agenttype-operator"

# Labels and annotations. The prefix is reserved: a template that uses it is refused.
PREFIX: Final = "agenttype.dev/"
LABEL_AGENT_TYPE: Final = PREFIX + "agent-type"
LABEL_MODEL_BACKEND: Final = PREFIX + "model-backend"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "agenttype-operator"
ANNOTATION_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
#: Touched on a pod when its policy changed, so that the kubelet refreshes the mounted ConfigMap at once
#: instead of within about a minute. It stands on pods only, never in a template: it restarts nothing.
ANNOTATION_POLICY_HASH: Final = PREFIX + "policy-hash"

#: On every object we make: digest of what was applied, so that a restarted operator need not apply it again.
ANNOTATION_APPLIED: Final = PREFIX + "applied"

# Containers and volumes of the pod; the prefix is reserved in templates.
RESERVED_PREFIX: Final = "agenttype-"
CONTAINER_AGENT: Final = "agent"
CONTAINER_SIDECAR: Final = "agenttype-sidecar"
CONTAINER_INJECT: Final = "agenttype-inject"
CONTAINER_ENGINE: Final = "engine"
CONTAINER_GATE: Final = "agenttype-gate"
VOLUME_LIB: Final = "agenttype-lib"
VOLUME_LEDGER: Final = "agenttype-ledger"
VOLUME_POLICY: Final = "agenttype-policy"
VOLUME_TOKEN: Final = "agenttype-token"  # noqa: S105 — a volume's name
#: The gate's own token for the API server; no other container of its pod has one.
VOLUME_API_TOKEN: Final = "agenttype-api-token"  # noqa: S105 — a volume's name
VOLUME_CREDENTIALS: Final = "agenttype-credentials"
VOLUME_ADAPTERS: Final = "agenttype-adapters"
VOLUME_SHM: Final = "agenttype-shm"

# Ports of the pod network namespace; reserved in templates.
PORT_DATA: Final = 15001
PORT_INBOUND: Final = 15006
PORT_HEALTH: Final = 15021
PORT_CONTROL: Final = 15090
RESERVED_PORTS: Final = (PORT_DATA, PORT_INBOUND, PORT_HEALTH, PORT_CONTROL)
#: Where the gate listens in the model server's pod, and where the engine listens behind it (loopback only).
PORT_GATE: Final = 15002
PORT_ENGINE: Final = 8000
PORT_BACKEND_SERVICE: Final = 80

# Paths inside containers.
WRAPPER_ROOT: Final = "/opt/agenttype"
WRAPPER_PYTHON: Final = "/opt/agenttype/python"
LEDGER_DIR: Final = "/var/lib/agenttype/ledger"
POLICY_DIR: Final = "/etc/agenttype/policy"
POLICY_FILE: Final = "policy.json"
GATE_POLICY_FILE: Final = "gate.json"
TOKEN_DIR: Final = "/var/run/agenttype"  # noqa: S105 — a folder
TOKEN_FILE: Final = "token"  # noqa: S105 — a file's name
CREDENTIALS_DIR: Final = "/etc/agenttype/credentials"
ADAPTERS_DIR: Final = "/adapters"
ADAPTER_SOURCE_DIR: Final = "/adapter-source"

#: Audience of the projected ServiceAccount token that the gate accepts, and nothing else does.
TOKEN_AUDIENCE: Final = "agenttype.dev/gate"  # noqa: S105 — an audience
TOKEN_SECONDS: Final = 3600
#: Audience and file of the token that NATS accepts, through its auth callout, and nothing else does.
NATS_AUDIENCE: Final = "agenttype.dev/nats"
NATS_TOKEN_FILE: Final = "nats-token"  # noqa: S105 — a file's name

# Environment of our own processes: the name of the process is the second word. What the agent gets is below.
ENV_OPERATOR: Final = "AGENTTYPE_OPERATOR_"
ENV_AUTH_CALLOUT: Final = "AGENTTYPE_AUTH_CALLOUT_"

# Environment of the agent.
ENV_PREFIX: Final = "AGENTTYPE_"
ENV_USER_PREFIX: Final = "AGENTTYPE_USER_"
ENV_LLM_SIDECAR_URL: Final = "LLM_SIDECAR_URL"
ENV_NAME: Final = "AGENTTYPE_NAME"
ENV_NAMESPACE: Final = "AGENTTYPE_NAMESPACE"
ENV_CONTROL_URL: Final = "AGENTTYPE_CONTROL_URL"
ENV_MCP_URL: Final = "AGENTTYPE_MCP_URL"
ENV_WRAPPER: Final = "AGENTTYPE_WRAPPER"
ENV_DEBUG: Final = "AGENTTYPE_DEBUG"
ENV_WRAPPER_STATE: Final = "AGENTTYPE_WRAPPER_STATE"
PLACEHOLDER_KEY: Final = "agenttype-placeholder"

# Paths of the HTTP APIs.
CONTROL_API: Final = "/agenttype/v1"
MCP_PATH: Final = "/mcp"
TOOLS_PATH: Final = "/tools"
GATE_STATUS_PATH: Final = f"{CONTROL_API}/adapters"
POLICY_STATUS_PATH: Final = f"{CONTROL_API}/policy"

# Headers that the wrapper adds to calls to the sidecar: untrusted, never sent on.
HEADER_PROCESS: Final = "x-agenttype-process"
HEADER_WRAPPER: Final = "x-agenttype-wrapper"

# Headers of our answers.
HEADER_LIMIT: Final = "x-agenttype-limit"
HEADER_REMAINING: Final = "x-agenttype-remaining"
HEADER_CLAMPED: Final = "x-agenttype-clamped"
HEADER_REASON: Final = "x-agenttype-reason"
HEADER_RESET: Final = "x-agenttype-reset"
HEADER_ROUTE: Final = "x-agenttype-route"
HEADER_RULE: Final = "x-agenttype-rule"
HEADER_SHOULD_RETRY: Final = "x-should-retry"

#: Groups the calls of one run or conversation for routers that look for cached prefixes; the caller's own wins.
HEADER_SESSION: Final = "x-session-id"
