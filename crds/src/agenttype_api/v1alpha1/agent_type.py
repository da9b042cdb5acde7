"""AgentType: an agent as built, the models and tools it may use, and what it may spend."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from agenttype_api import template_rules
from agenttype_api.schema import (
    DURATION_RULE,
    URL,
    Conditions,
    Glob,
    Metadata,
    Model,
    Name,
    PodTemplate,
    Ref,
    SecretKeyRef,
    Text,
    cel,
)
from agenttype_api.v1alpha1.budget import ScopedLimitSpec


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
        "None: the agent serves no one; no Service is made.",
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


_ONE_MODEL = cel(
    "!(has(self.adapterRef) && has(self.model))",
    "adapterRef already says which model is served; leave model out",
)


class FallbackReason(StrEnum):
    """Why a call goes to the next backend."""

    UNAVAILABLE = "Unavailable"
    RATE_LIMITED = "RateLimited"
    BUDGET_LOW = "BudgetLow"


class FallbackSpec(Model):
    """Another model that answers when the one before it does not; never after the first byte of an answer."""

    model_config = ConfigDict(json_schema_extra={"x-cel": [_ONE_MODEL]})

    backend_ref: Ref = Field(description="The ModelBackend of this namespace that answers instead.")
    adapter_ref: Ref | None = Field(default=None, description="The LoraAdapter to use there.")
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None, description="Name of the model at that backend; absent: the name that the agent uses."
    )
    when: Annotated[list[FallbackReason], Field(min_length=1, max_length=3, json_schema_extra={"x-set": True})] = Field(
        default=[FallbackReason.UNAVAILABLE],
        description="Unavailable: the backend refuses connections, fails or does not answer in time. RateLimited: it "
        "answers 429. BudgetLow: a limit of the agent has passed warnAtPercent, so that a cheaper model takes over.",
    )


class ModelRoute(Model):
    """Which model answers for the model names that the agent uses."""

    model_config = ConfigDict(json_schema_extra={"x-cel": [_ONE_MODEL]})

    match: Annotated[list[Glob], Field(min_length=1, max_length=32, json_schema_extra={"x-set": True})] = Field(
        description="Model names the unmodified agent already uses, as globs ('*' matches any text). "
        "The first route that matches wins; a name that none matches is answered with 404."
    )
    backend_ref: Ref = Field(description="The ModelBackend of this namespace that answers.")
    adapter_ref: Ref | None = Field(
        default=None, description="The LoraAdapter to use; absent: the base model of the backend."
    )
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None,
        description="Name of the model at an external backend; absent: the name that the agent uses.",
    )
    fallback: Annotated[list[FallbackSpec], Field(max_length=4)] = Field(
        default=[], description="What answers when the backend does not, tried in this order."
    )


class McpServer(Model):
    """A tool server that speaks the Model Context Protocol over streamable HTTP."""

    url: Annotated[str, Field(max_length=1024, pattern=URL)] = Field(
        description="Address of the server's endpoint, for example http://crm.tools:8080/mcp."
    )


class HttpMethod(StrEnum):
    """A method of HTTP that a tool may take."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class HttpRouteSpec(Model):
    """Paths of an HTTP API that the agent may call, and how."""

    methods: Annotated[list[HttpMethod], Field(min_length=1, max_length=6, json_schema_extra={"x-set": True})] = Field(
        default=[HttpMethod.GET], description="Methods that are allowed."
    )
    path: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^/[^?#]*$")] = Field(
        description="Paths below the tool's address, as a glob: /v1/orders/* allows what begins with /v1/orders/."
    )


class HttpServer(Model):
    """A plain HTTP API."""

    url: Annotated[str, Field(max_length=1024, pattern=URL)] = Field(
        description="Address of the API, for example https://orders.example.com/api."
    )
    allow: Annotated[list[HttpRouteSpec], Field(min_length=1, max_length=64)] = Field(
        description="What the agent may call; everything else is refused."
    )


class ToolLimitsSpec(Model):
    """Bounds of one tool server; absent: none of its own."""

    calls_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Calls in any minute."
    )
    calls_per_run: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = Field(
        default=None, description="Calls in the life of a pod, restarts of containers included."
    )
    timeout: Annotated[str, Field(min_length=1, max_length=16, json_schema_extra={"x-cel": [DURATION_RULE]})] | None = (
        Field(default=None, description="How long one call may take, for example 20s or 1m30s.")
    )
    argument_bytes: Annotated[int, Field(ge=1, le=4_194_304)] | None = Field(
        default=None, description="Size of a call's message; a larger one is refused."
    )
    result_bytes: Annotated[int, Field(ge=1, le=16_777_216)] | None = Field(
        default=None, description="Size of a result; a larger one is replaced by an error."
    )


class OnRefusal(StrEnum):
    """How the agent hears of a refused tool call."""

    ERROR = "Error"
    RESULT = "Result"


class ToolSpec(Model):
    """A tool server that the agent may use, at http://127.0.0.1:15001/mcp/<name> or /tools/<name>/…."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-cel": [
                cel("has(self.mcp) != has(self.http)", "exactly one of mcp and http must be set"),
            ]
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")] = Field(
        description="Name of the server in the agent's own URLs, metrics and rules."
    )
    mcp: McpServer | None = Field(default=None, description="The MCP server behind it.")
    http: HttpServer | None = Field(default=None, description="The plain HTTP API behind it.")
    allow: Annotated[list[Glob], Field(max_length=128, json_schema_extra={"x-set": True})] = Field(
        default=["*"],
        description="Globs of the MCP server's tools that the agent may see and call. Others are neither listed "
        "nor forwarded. An empty list allows none.",
    )
    limits: ToolLimitsSpec = Field(default=ToolLimitsSpec(), description="Bounds of this server.")
    credential_ref: SecretKeyRef | None = Field(
        default=None, description="Secret whose value the sidecar adds to calls; the agent never sees it."
    )
    credential_header: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9-]*$")] = Field(
        default="authorization",
        description="Header that carries the credential: as 'Bearer <value>' in authorization, else the value alone.",
    )
    on_refusal: OnRefusal = Field(
        default=OnRefusal.ERROR,
        description="How an MCP client hears of a refused call. Error: a JSON-RPC error, which most frameworks raise. "
        "Result: a result with isError, which the model reads and works around.",
    )


class OnLimit(StrEnum):
    """What happens to a call that does not fit."""

    CLAMP = "Clamp"
    REJECT = "Reject"


class OnExhausted(StrEnum):
    """What happens to a run that cannot go on."""

    REFUSE = "Refuse"
    STOP_AGENT = "StopAgent"


class BudgetSpec(Model):
    """What the agent may spend; held before each call, settled after it."""

    limits: Annotated[list[ScopedLimitSpec], Field(max_length=16, json_schema_extra={"x-map-keys": ["name"]})] = Field(
        default=[], description="Limits that all apply; the tightest decides."
    )
    budget_ref: Ref | None = Field(
        default=None, description="An AgentBudget of this namespace whose limits the agent shares with others."
    )
    on_limit: OnLimit = Field(
        default=OnLimit.CLAMP,
        description="Clamp: a call that fits only in part gets a smaller max_tokens. Reject: it is refused.",
    )
    warn_at_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=80, description="Share of a limit from which on metrics warn and fallbacks on BudgetLow apply."
    )
    on_exhausted: OnExhausted = Field(
        default=OnExhausted.REFUSE,
        description="Refuse: calls that do not fit are refused, the agent goes on. StopAgent: once a limit without a "
        "window to wait for (Run, Forever) is used up, the agent is scaled to zero until its spec changes.",
    )
    refusal_status: Literal[402, 403, 429] = Field(
        default=402,
        description="Status of a refusal on OpenAI's paths. Most clients and frameworks give up at once on 402 and "
        "403, while several repeat a 429 for minutes; 429 is what OpenAI itself answers without credit.",
    )


class RateLimitsSpec(Model):
    """How fast the agent may call models, each pod for itself; absent: as fast as it likes."""

    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Calls to models a minute."
    )
    tokens_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        default=None, description="Input and output tokens a minute."
    )
    max_concurrent: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="Calls to models that run at once."
    )


class RuleTarget(StrEnum):
    """A message that a rule can look at."""

    LLM_REQUEST = "LLMRequest"
    LLM_RESPONSE = "LLMResponse"
    TOOL_CALL = "ToolCall"
    TOOL_RESULT = "ToolResult"


class RuleAction(StrEnum):
    """What a rule does when it applies."""

    WARN = "Warn"
    DENY = "Deny"
    STOP_AGENT = "StopAgent"


def _applies_only_to(prefix: str) -> str:
    """CEL: all that a rule applies to begins with the prefix."""
    return f"self.appliesTo.all(target, target.startsWith('{prefix}'))"


class RuleSpec(Model):
    """What must not happen; a rule applies when everything that it says holds."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-cel": [
                cel(
                    "has(self.matches) || has(self.tool) || has(self.model) || has(self.moreThanBytes) || "
                    "has(self.morePerMinute)",
                    "a rule must say what it looks for: matches, tool, model, moreThanBytes or morePerMinute",
                ),
                cel(
                    f"!has(self.tool) || {_applies_only_to('Tool')}",
                    "tool can be asked of ToolCall and ToolResult only",
                ),
                cel(
                    f"!has(self.model) || {_applies_only_to('LLM')}",
                    "model can be asked of LLMRequest and LLMResponse only",
                ),
            ]
        }
    )

    name: Name = Field(description="Name of the rule in answers, metrics, events and the control API.")
    applies_to: Annotated[list[RuleTarget], Field(min_length=1, max_length=4, json_schema_extra={"x-set": True})] = (
        Field(description="What the rule looks at.")
    )
    matches: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=512,
                json_schema_extra={
                    "x-cel": [
                        cel(
                            # An expression that RE2 cannot read makes both sides fail, and with them the rule.
                            "''.matches(self) || !''.matches(self)",
                            "matches must be a regular expression that RE2 can read (no back references, no "
                            "look-around)",
                        )
                    ]
                },
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="Regular expression (RE2) that is searched in every text of the message: prompts, answers, "
        "arguments, results. What it found is never shown.",
    )
    model: Glob | None = Field(default=None, description="Glob of the model names that the agent uses.")
    tool: Annotated[str, Field(min_length=1, max_length=170)] | None = Field(
        default=None, description="Glob of tool names, with or without the server's name and a slash before it."
    )
    more_than_bytes: Annotated[int, Field(ge=0, le=67_108_864)] | None = Field(
        default=None, description="The message is larger than so many bytes."
    )
    more_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="There are more such messages in a minute."
    )
    action: RuleAction = Field(
        default=RuleAction.DENY,
        description="Warn: note it. Deny: refuse the message or cut the answer, and note it. StopAgent: deny it, and "
        "scale the agent to zero until its spec changes.",
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
    interface: Interface | None = Field(default=None, description="How others reach the agent; absent: they cannot.")
    injection: Injection = Field(default=Injection(), description="What is put beside the agent.")
    models: Annotated[list[ModelRoute], Field(min_length=1, max_length=32)] = Field(
        description="Which models the agent may use, under the names it already uses; the first match wins."
    )
    tools: Annotated[list[ToolSpec], Field(max_length=64, json_schema_extra={"x-map-keys": ["name"]})] = Field(
        default=[], description="Tool servers that the agent may use; all others are refused."
    )
    budget: BudgetSpec = Field(default=BudgetSpec(), description="What the agent may spend; absent: no limit.")
    rate_limits: RateLimitsSpec = Field(default=RateLimitsSpec(), description="How fast the agent may call models.")
    rules: Annotated[list[RuleSpec], Field(max_length=32, json_schema_extra={"x-map-keys": ["name"]})] = Field(
        default=[], description="What must not happen in the agent's calls."
    )


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
        description="Accepted, ResolvedRefs, AdapterLoaded, Programmed, BudgetAvailable, Available, and Ready which "
        "sums them up.",
    )


class AgentType(Model):
    """An agent that runs as built, while its models, tools and budget are a matter of policy."""

    plural: ClassVar[str] = "agenttypes"
    api_version: Literal["agenttype.dev/v1alpha1"] = "agenttype.dev/v1alpha1"
    kind: Literal["AgentType"] = "AgentType"
    metadata: Metadata
    spec: AgentTypeSpec = Field(description="What the user wants.")
    status: AgentTypeStatus = Field(default=AgentTypeStatus(), description="What the operator saw.")
