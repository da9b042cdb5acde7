"""The gate document: all that a model server's gate and keeper know, in one JSON file that the operator writes."""

from enum import StrEnum
from typing import Literal

from agenttype_api.policy import Identity, document_hash
from agenttype_api.schema import Document


class WantedAdapter(Document):
    """An adapter version that has to be live."""

    name: str
    """Name of the LoraAdapter object."""
    served_name: str
    """`<alias>@<digest12>`: the name under which the engine serves it."""
    path: str
    """Folder below the adapter source volume."""
    digest: str


class Caller(Document):
    """Who may call which served names."""

    service_account: str
    """`<namespace>/<name>`, as TokenReview tells it."""
    agent_type: str
    """`<namespace>/<name>` of the AgentType, for metrics."""
    models: tuple[str, ...]


class GatePolicy(Document):
    """One backend's gate document."""

    version: Literal[1] = 1
    identity: Identity
    base_model: str
    max_adapters: int = 0
    max_rank: int = 0
    adapters: tuple[WantedAdapter, ...] = ()
    callers: tuple[Caller, ...] = ()

    def hash(self) -> str:
        """Return the first 16 hex digits of the document's sha256: what gates acknowledge."""
        return document_hash(self)


class AdapterState(StrEnum):
    """How far a replica is with one adapter."""

    LOADING = "Loading"
    LOADED = "Loaded"
    MISSING = "Missing"
    DIGEST_MISMATCH = "DigestMismatch"
    REJECTED = "Rejected"
    CAPACITY_EXCEEDED = "CapacityExceeded"


class AdapterReport(Document):
    """What one replica says of one adapter."""

    name: str
    served_name: str
    state: AdapterState
    message: str = ""


class GateReport(Document):
    """What one replica answers at `/agenttype/v1/adapters` on its control port."""

    policy_hash: str
    """Hash of the document in use."""
    error: str = ""
    """Why a newer document was refused; empty when none was."""
    engine_ready: bool
    adapters: tuple[AdapterReport, ...] = ()
