"""The policy document: all that a sidecar knows, in one JSON file that the operator writes.

Written by `compile.agent_policy`, loaded by the sidecar with `Policy.model_validate_json`; unknown members are
refused there, so a sidecar that is older than its policy keeps the policy it had. Durations are whole milliseconds, in
members that end in `_ms` (see `quantities`).
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from agenttype_api.schema import Document
from agenttype_api.v1alpha1 import (
    FallbackReason,
    HttpMethod,
    OnExhausted,
    OnLimit,
    OnRefusal,
    Resource,
    RuleAction,
    RuleTarget,
    Scope,
    Window,
)


class Identity(Document):
    """Whose policy it is."""

    namespace: str
    name: str
    uid: str


class WireProtocol(StrEnum):
    """A family of LLM wire formats."""

    OPENAI = "OpenAI"
    ANTHROPIC = "Anthropic"


class Credential(StrEnum):
    """How the sidecar proves itself to a backend."""

    POD_TOKEN = "PodToken"  # noqa: S105 — the kind of a credential
    """The projected ServiceAccount token, as `authorization: Bearer`; re-read from its file, for it rotates."""
    API_KEY = "ApiKey"
    """The file `credential_file`, as the protocol wants it (Bearer or x-api-key)."""
    NONE = "None"
    """Nothing is sent."""


class Price(Document):
    """What some models cost, in nano-dollars per million tokens; the first price that matches counts."""

    models: tuple[str, ...]
    """Globs of served names or adapters' aliases."""
    input: Annotated[int, Field(ge=0)]
    cached_input: Annotated[int, Field(ge=0)]
    """Input read from a cache."""
    cache_write: Annotated[int, Field(ge=0)]
    """Input written to a cache."""
    output: Annotated[int, Field(ge=0)]


class Backend(Document):
    """Where calls of a route go."""

    name: str
    url: str
    """Scheme, host, port and perhaps a path prefix; `/v1/…` is appended."""
    protocols: tuple[WireProtocol, ...]
    credential: Credential
    credential_file: str | None = None
    """Path below the credentials folder; only for ApiKey."""
    counts_bytes: bool
    """Whether a prompt's tokens are bounded by its bytes (byte-level tokenizers: every engine that we run)."""
    max_model_len: int | None = None
    """Context length in tokens: what one call can cost at most; None if it is not known."""
    ca_file: str | None = None
    """Path below the credentials folder of the authority that vouches for the server; None: the public ones."""
    prices: tuple[Price, ...] = ()


class Fallback(Document):
    """What answers when the backend before it does not."""

    backend: str
    model: str | None = None
    """As in Route."""
    adapter: str | None = None
    when: tuple[FallbackReason, ...]


class Route(Document):
    """Which backend and which served model answer for which names."""

    match: tuple[str, ...]
    backend: str
    model: str | None = None
    """Served name that goes upstream; None: the caller's own name."""
    adapter: str | None = None
    """Alias of the adapter, for metrics."""
    fallback: tuple[Fallback, ...] = ()


class ToolProtocol(StrEnum):
    """What a tool server speaks."""

    MCP = "MCP"
    HTTP = "HTTP"


class HttpRoute(Document):
    """Paths of an HTTP API, and the methods that they take."""

    methods: tuple[HttpMethod, ...]
    path: str
    """A glob."""


class ToolLimits(Document):
    """Bounds of one tool server; None: no bound of its own."""

    calls_per_minute: int | None = None
    calls_per_run: int | None = None
    timeout_ms: int | None = None
    argument_bytes: int | None = None
    result_bytes: int | None = None


class Tool(Document):
    """One tool server."""

    name: str
    protocol: ToolProtocol = ToolProtocol.MCP
    url: str
    allow: tuple[str, ...] = ()
    """MCP: globs of its tools."""
    routes: tuple[HttpRoute, ...] = ()
    """HTTP: what may be called."""
    limits: ToolLimits = ToolLimits()
    credential_file: str | None = None
    """Path below the credentials folder; None: nothing is sent."""
    credential_header: str = "authorization"
    """As 'Bearer <value>' in authorization, else the value alone."""
    on_refusal: OnRefusal = OnRefusal.ERROR


class Limit(Document):
    """One bound; `max` in tokens or calls, for Cost in nano-dollars, for ToolTime and WallClock in milliseconds."""

    name: str
    resource: Resource
    max: Annotated[int, Field(ge=0)]
    window: Window
    scope: Scope
    account: str = ""
    """Whose counter it is, for limits that pods share: `<namespace>.agent.<agent>.<limit>` or
    `<namespace>.budget.<budget>.<limit>`; empty in scope Pod."""


class Budget(Document):
    """All bounds, and what happens to a call that does not fit."""

    limits: tuple[Limit, ...] = ()
    on_limit: OnLimit = OnLimit.CLAMP
    warn_at_percent: int = 80
    on_exhausted: OnExhausted = OnExhausted.REFUSE
    refusal_status: int = 402
    """On OpenAI's paths; Anthropic's has one of its own."""


class RateLimits(Document):
    """How fast the agent may call models, each pod for itself; None: no bound."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrent: int | None = None


class Rule(Document):
    """What must not happen; it applies when everything that is not None holds."""

    name: str
    applies_to: tuple[RuleTarget, ...]
    matches: str | None = None
    """RE2."""
    model: str | None = None
    """A glob of the names that the agent uses."""
    tool: str | None = None
    """A glob of `<tool>` or `<server>/<tool>`."""
    more_than_bytes: int | None = None
    more_per_minute: int | None = None
    action: RuleAction


class Nats(Document):
    """The NATS server that counts limits which several pods share."""

    url: str
    """nats://host:port or tls://host:port; of a cluster all its servers: nats://host:port,host:port."""
    authority: str | None = None
    """Certificates (PEM) of which one must vouch for a server at tls://; None: the system's."""


class Timeouts(Document):
    """Deadlines of the data path."""

    connect_ms: int = 2_000
    first_byte_ms: int = 300_000
    idle_ms: int = 120_000
    total_ms: int = 1_800_000
    warm_up_ms: int = 30_000
    """How long a call waits for a backend that is starting, before it is answered with 503."""


class Policy(Document):
    """One agent's policy."""

    version: Literal[1] = 1
    identity: Identity
    backends: tuple[Backend, ...]
    routes: tuple[Route, ...]
    tools: tuple[Tool, ...] = ()
    budget: Budget = Budget()
    rate_limits: RateLimits = RateLimits()
    rules: tuple[Rule, ...] = ()
    nats: Nats | None = None
    """None: no limit is shared."""
    timeouts: Timeouts = Timeouts()

    def hash(self) -> str:
        """Return the first 16 hex digits of the document's sha256: what sidecars acknowledge."""
        return document_hash(self)


def document_json(document: Document) -> str:
    """Return a document as the JSON text that goes into its ConfigMap: same document, same bytes."""
    return document.model_dump_json(by_alias=True, exclude_none=True)


def document_hash(document: Document) -> str:
    """Return the first 16 hex digits of the sha256 of a document's JSON text."""
    return hashlib.sha256(document_json(document).encode()).hexdigest()[:16]
