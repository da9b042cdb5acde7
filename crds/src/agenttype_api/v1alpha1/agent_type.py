"""AgentType: an agent as built, the models and tools it may use, and what it may spend."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from agenttype_api import template_rules
from agenttype_api.schema import URL, Conditions, Metadata, Model, Name, PodTemplate, Ref, Text, cel


class Protocol(StrEnum):
    """What the agent itself serves."""

    HTTP = "HTTP"
    NONE = "None"


class Interface(Model):
    """How others reach the agent: a Service and a readiness probe are made for it."""

    port: Annotated[int, Field(ge=1, le=65535)] = Field(description="Port on which the agent listens.")
    protocol: Protocol = Field(
        default=Protocol.HTTP,
        description="HTTP: a Service is made, and the agent is ready when the port accepts connections. "
        "None: the agent serves nobody; no Service is made.",
    )


class Wrapper(StrEnum):
    """A language whose processes get wrapper code."""

    PYTHON = "Python"


class Injection(Model):
    """What is put beside the agent. Environment variables are always set; the image is never changed."""

    wrapper: Annotated[list[Wrapper], Field(max_length=3, json_schema_extra={"x-set": True})] = Field(
        default=[Wrapper.PYTHON],
        description="Languages whose processes load wrapper code at start. The wrapper adds trace headers and "
        "routes clients that no environment variable routes; the agent runs without it too.",
    )


class ModelRoute(Model):
    """Which model answers for the model names that the agent uses."""

    match: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]],
        Field(min_length=1, max_length=32, json_schema_extra={"x-set": True}),
    ] = Field(
        description="Model names the unmodified agent already uses, as globs ('*' matches any text). "
        "The first route that matches wins; a name that none matches is answered with 404."
    )
    backend_ref: Ref = Field(description="The ModelBackend of this namespace that answers.")
    adapter_ref: Ref | None = Field(
        default=None, description="The LoraAdapter to use; absent: the base model of the backend."
    )


class McpServer(Model):
    """A tool server that speaks the Model Context Protocol over streamable HTTP."""

    url: Annotated[str, Field(max_length=1024, pattern=URL)] = Field(
        description="Address of the server's endpoint, for example http://crm.tools:8080/mcp."
    )


class Tool(Model):
    """A tool server that the agent may use, at http://127.0.0.1:15001/mcp/<name>."""

    name: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")] = Field(
        description="Name of the server in the agent's own URLs, metrics and rules."
    )
    mcp: McpServer = Field(description="The MCP server behind it.")
    allow: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]],
        Field(max_length=128, json_schema_extra={"x-set": True}),
    ] = Field(
        default=["*"],
        description="Globs of the server's tools that the agent may see and call. Others are neither listed "
        "nor forwarded. An empty list allows none.",
    )


class Resource(StrEnum):
    """What a limit counts."""

    TOKENS = "Tokens"
    INPUT_TOKENS = "InputTokens"
    OUTPUT_TOKENS = "OutputTokens"
    REQUESTS = "Requests"


class Window(StrEnum):
    """How long a limit counts before it starts anew."""

    RUN = "Run"


class Scope(StrEnum):
    """Who shares a limit."""

    POD = "Pod"


class OnLimit(StrEnum):
    """What happens to a call that does not fit."""

    CLAMP = "Clamp"
    REJECT = "Reject"


class Limit(Model):
    """One bound that is held before a call is sent."""

    name: Name = Field(description="Name of the limit in answers, metrics and the control API.")
    resource: Resource = Field(description="What is counted.")
    max: Annotated[
        str,
        Field(
            min_length=1,
            max_length=18,
            json_schema_extra={
                "x-cel": [
                    cel(
                        "self.matches('^(0|[1-9][0-9]*)$')",
                        'max must be a whole number of 0 or more, as a string, for example "200000"; '
                        "for no limit leave the limit out",
                    )
                ]
            },
        ),
    ] = Field(description="The most that may be spent, a whole number as a string. 0 allows nothing.")
    window: Window = Field(
        default=Window.RUN,
        description="Run: counts for the life of the pod, restarts of containers included.",
    )
    scope: Scope = Field(default=Scope.POD, description="Pod: every pod of the agent has the limit for itself.")


class Budget(Model):
    """What the agent may spend; held before each call, settled after it."""

    limits: Annotated[list[Limit], Field(max_length=16, json_schema_extra={"x-map-keys": ["name"]})] = Field(
        default=[], description="Limits that all apply; the tightest decides."
    )
    on_limit: OnLimit = Field(
        default=OnLimit.CLAMP,
        description="Clamp: a call that fits only in part gets a smaller max_tokens. Reject: it is refused.",
    )


class AgentTypeSpec(Model):
    """What the user wants: the agent as built, the models and tools it may use, what it may spend."""

    model_config = ConfigDict(json_schema_extra={"x-cel": template_rules.POD_RULES})

    description: Text = Field(default="", description="What the agent is for, in a sentence.")
    replicas: Annotated[int, Field(ge=0, le=10000)] = Field(
        default=1, description="How many pods run. Leave it out of Git when an autoscaler owns it."
    )
    template: PodTemplate = Field(
        description="The agent's pod, with exactly one container named 'agent'; image, command and arguments "
        "stay as written."
    )
    interface: Interface | None = Field(default=None, description="How others reach the agent; absent: nobody does.")
    injection: Injection = Field(default=Injection(), description="What is put beside the agent.")
    models: Annotated[list[ModelRoute], Field(min_length=1, max_length=32)] = Field(
        description="Which models the agent may use, under the names it already uses; the first match wins."
    )
    tools: Annotated[list[Tool], Field(max_length=64, json_schema_extra={"x-map-keys": ["name"]})] = Field(
        default=[], description="Tool servers that the agent may use; all others are refused."
    )
    budget: Budget = Field(default=Budget(), description="What the agent may spend; absent: no limit.")


class AgentTypeStatus(Model):
    """What the operator saw; nothing here moves while nothing happens."""

    observed_generation: int = Field(default=0, description="Generation of the spec that this describes.")
    replicas: int = Field(default=0, description="Pods that exist.")
    ready_replicas: int = Field(default=0, description="Pods that are ready.")
    selector: Annotated[str, Field(max_length=512)] = Field(
        default="", description="Label selector of the pods, for the scale subresource."
    )
    policy_hash: Annotated[str, Field(max_length=64)] = Field(
        default="", description="Hash of the policy that was last written."
    )
    conditions: Conditions = Field(
        default=[],
        description="Accepted, ResolvedRefs, AdapterLoaded, Programmed, Available, and Ready which sums them up.",
    )


class AgentType(Model):
    """An agent that runs as built, while its models, tools and budget are a matter of policy."""

    plural: ClassVar[str] = "agenttypes"
    api_version: Literal["agenttype.dev/v1alpha1"] = "agenttype.dev/v1alpha1"
    kind: Literal["AgentType"] = "AgentType"
    metadata: Metadata
    spec: AgentTypeSpec = Field(description="What the user wants.")
    status: AgentTypeStatus = Field(default=AgentTypeStatus(), description="What the operator saw.")
