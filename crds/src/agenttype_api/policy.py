"""The policy document: all that a sidecar knows, in one JSON file that the operator writes.

Written by `compile.agent_policy`, loaded by the sidecar with `Policy.model_validate_json`; unknown members are
refused there, so a sidecar that is older than its policy keeps the policy it had.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from agenttype_api.schema import Document
from agenttype_api.v1alpha1 import OnLimit, Resource, Scope, Window


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
    """Context length in tokens: what one call can cost at most; None where nobody told us."""


class Route(Document):
    """Which backend and which served model answer for which names."""

    match: tuple[str, ...]
    backend: str
    model: str | None = None
    """Served name that goes upstream; None: the caller's own name."""
    adapter: str | None = None
    """Alias of the adapter, for metrics."""


class Tool(Document):
    """One MCP server."""

    name: str
    url: str
    allow: tuple[str, ...]


class Limit(Document):
    """One bound; `max` in units of its resource."""

    name: str
    resource: Resource
    max: Annotated[int, Field(ge=0)]
    window: Window
    scope: Scope


class Budget(Document):
    """All bounds, and what happens to a call that does not fit."""

    limits: tuple[Limit, ...] = ()
    on_limit: OnLimit = OnLimit.CLAMP


class Timeouts(Document):
    """Deadlines of the data path in seconds."""

    connect: float = 2.0
    first_byte: float = 300.0
    idle: float = 120.0
    total: float = 1800.0
    warm_up: float = 30.0
    """How long a call waits for a backend that is starting, before it is answered with 503."""


class Policy(Document):
    """One agent's policy."""

    version: Literal[1] = 1
    identity: Identity
    backends: tuple[Backend, ...]
    routes: tuple[Route, ...]
    tools: tuple[Tool, ...] = ()
    budget: Budget = Budget()
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
