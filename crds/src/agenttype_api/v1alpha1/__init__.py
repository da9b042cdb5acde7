"""The kinds of `agenttype.dev/v1alpha1`, one module each.

A field is here when its behaviour is. Descriptions are the documentation that `kubectl explain` shows; every list,
string and map has a maximum; rules across fields are CEL with a message that tells the fix.
"""

from agenttype_api.v1alpha1.agent_type import (
    AgentType,
    AgentTypeSpec,
    AgentTypeStatus,
    Budget,
    Injection,
    Interface,
    Limit,
    McpServer,
    ModelRoute,
    OnLimit,
    Protocol,
    Resource,
    Scope,
    Tool,
    Window,
    Wrapper,
)
from agenttype_api.v1alpha1.lora_adapter import (
    AdapterSource,
    LoraAdapter,
    LoraAdapterSpec,
    LoraAdapterStatus,
)
from agenttype_api.v1alpha1.model_backend import (
    ExternalBackend,
    ExternalProtocol,
    LoraCapacity,
    ModelBackend,
    ModelBackendSpec,
    ModelBackendStatus,
    VllmBackend,
)

#: Every kind, in the order in which documentation lists them.
KINDS: tuple[type[AgentType] | type[ModelBackend] | type[LoraAdapter], ...] = (AgentType, ModelBackend, LoraAdapter)

__all__ = [
    "KINDS",
    "AdapterSource",
    "AgentType",
    "AgentTypeSpec",
    "AgentTypeStatus",
    "Budget",
    "ExternalBackend",
    "ExternalProtocol",
    "Injection",
    "Interface",
    "Limit",
    "LoraAdapter",
    "LoraAdapterSpec",
    "LoraAdapterStatus",
    "LoraCapacity",
    "McpServer",
    "ModelBackend",
    "ModelBackendSpec",
    "ModelBackendStatus",
    "ModelRoute",
    "OnLimit",
    "Protocol",
    "Resource",
    "Scope",
    "Tool",
    "VllmBackend",
    "Window",
    "Wrapper",
]
