"""ModelBackend: where models are served, a vLLM that we run and guard or an endpoint of another provider."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from agenttype_api import keys
from agenttype_api.schema import URL, Conditions, Glob, Metadata, Model, PodTemplate, Resources, SecretKeyRef, cel


class LoraCapacity(Model):
    """How many adapters the engine holds, and where their files come from."""

    max_adapters: Annotated[int, Field(ge=1, le=512)] = Field(
        default=4,
        description="Adapters that may be loaded at once (--max-cpu-loras; at most 32 of them a batch).",
    )
    max_rank: Annotated[int, Field(ge=1, le=512)] = Field(
        default=16,
        description="Highest rank an adapter may have (--max-lora-rank): 1, 8, 16, 32, 64, 128, 256, 320, 512.",
    )
    volume: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="Name of a volume of template.spec.volumes that holds the adapters' folders; it is mounted "
        "read-only into the keeper, and LoraAdapter's source.path is relative to it."
    )


class VllmBackend(Model):
    """A vLLM that we run, with our gate in front of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-cel": [
                cel(
                    "!has(self.lora) || (has(self.template) && has(self.template.spec.volumes) && "
                    "self.template.spec.volumes.exists(v, v.name == self.lora.volume))",
                    "vllm.lora.volume must name a volume of vllm.template.spec.volumes",
                ),
                cel(
                    f'!has(self.template) || self.template.spec.containers.all(c, c.name == "{keys.CONTAINER_ENGINE}")',
                    'vllm.template.spec.containers may hold only one container, named "engine"',
                ),
                cel(
                    "!has(self.lora) || self.lora.maxRank in [1, 8, 16, 32, 64, 128, 256, 320, 512]",
                    "vllm.lora.maxRank must be one of 1, 8, 16, 32, 64, 128, 256, 320, 512",
                ),
            ]
        }
    )

    image: Annotated[str, Field(min_length=1, max_length=512)] = Field(
        description="Image of the engine; pin it by digest in production."
    )
    model: Annotated[str, Field(min_length=1, max_length=512)] = Field(
        description="What --model says: a path inside the container, or a name on a model hub."
    )
    max_model_len: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        description="Context length in tokens (--max-model-len): what one call can cost at most."
    )
    resources: Resources = Field(
        default={}, description="Requests and limits of the engine, nvidia.com/gpu among them."
    )
    lora: LoraCapacity | None = Field(default=None, description="Room for adapters; absent: base model only.")
    args: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=64)] = Field(
        default=[], description="Arguments added to the engine's command line."
    )
    template: PodTemplate | None = Field(
        default=None,
        description="What else the engine's pod needs: volumes, node selector, tolerations, runtime class, init "
        'containers, and under a container named "engine" its command, environment, mounts and security context.',
    )


class ExternalProtocol(StrEnum):
    """A protocol that an external endpoint speaks."""

    OPENAI = "OpenAI"
    ANTHROPIC = "Anthropic"


class ExternalBackend(Model):
    """An endpoint of another provider."""

    url: Annotated[str, Field(max_length=1024, pattern=URL)] = Field(
        description="Base address without the version, for example https://llm.example.com; /v1/… is added."
    )
    protocol: ExternalProtocol = Field(description="The protocol that the endpoint speaks.")
    credential_ref: SecretKeyRef | None = Field(
        default=None, description="Secret that holds the API key; only the sidecar sees it."
    )
    ca_ref: SecretKeyRef | None = Field(
        default=None,
        description="Secret with the certificate authority (PEM) that vouches for the endpoint; absent: the public "
        "ones. TLS is always verified.",
    )


_MONEY_RULE = cel(
    "self.matches('^(0|[1-9][0-9]{0,5})([.][0-9]{1,9})?$')",
    'a price must be dollars per million tokens, 0 or more, as a string, for example "2.50"',
)
Money = Annotated[str, Field(min_length=1, max_length=16, json_schema_extra={"x-cel": [_MONEY_RULE]})]


class PriceSpec(Model):
    """What some models of a backend cost, in dollars per million tokens."""

    models: Annotated[list[Glob], Field(min_length=1, max_length=32, json_schema_extra={"x-set": True})] = Field(
        description="Globs of the served names or aliases that have this price. The first price that matches counts."
    )
    input: Money = Field(description="Dollars per million input tokens.")
    cached_input: Money | None = Field(
        default=None, description="Dollars per million input tokens read from a cache; absent: as input."
    )
    cache_write: Money | None = Field(
        default=None, description="Dollars per million input tokens written to a cache; absent: as input."
    )
    output: Money = Field(description="Dollars per million output tokens.")


class ModelBackendSpec(Model):
    """Either a vLLM that we run, or an external endpoint."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-cel": [
                cel(
                    "has(self.vllm) != has(self.external)",
                    "exactly one of spec.vllm and spec.external must be set",
                ),
            ]
        }
    )

    vllm: VllmBackend | None = Field(default=None, description="A vLLM that we run.")
    external: ExternalBackend | None = Field(default=None, description="An endpoint of another provider.")
    prices: Annotated[list[PriceSpec], Field(max_length=64)] = Field(
        default=[],
        description="What calls cost. Under a limit of Cost a model without a price is refused; 0 is a price.",
    )


class ModelBackendStatus(Model):
    """What the operator saw."""

    observed_generation: int = Field(default=0, description="Generation of the spec that this describes.")
    ready_replicas: int = Field(default=0, description="Pods that are ready.")
    policy_hash: Annotated[str, Field(max_length=64)] = Field(
        default="", description="Hash of the gate's document that was last written."
    )
    conditions: Conditions = Field(
        default=[], description="Accepted, ResolvedRefs, Programmed, Available, and Ready which sums them up."
    )


class ModelBackend(Model):
    """Where models are served: a vLLM that we run and guard, or an external endpoint."""

    plural: ClassVar[str] = "modelbackends"
    api_version: Literal["agenttype.dev/v1alpha1"] = "agenttype.dev/v1alpha1"
    kind: Literal["ModelBackend"] = "ModelBackend"
    metadata: Metadata
    spec: ModelBackendSpec = Field(description="What the user wants.")
    status: ModelBackendStatus = Field(default=ModelBackendStatus(), description="What the operator saw.")
