"""Building blocks of the models: bounded strings, references, metadata, conditions, and marks for the generator.

The marks are JSON-schema extras that `structural` understands: `x-embed` puts in a schema of Kubernetes itself,
`x-cel` becomes `x-kubernetes-validations`, `x-map-keys` makes a list a map list.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Base of every part of a kind: camelCase outside, unknown fields ignored, so that a newer CRD can be read."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Document(BaseModel):
    """Base of every part of a policy document: camelCase outside, unknown fields refused, never changed."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


def cel(rule: str, message: str) -> dict[str, Any]:
    """Return one CEL rule with the message that a user sees when it does not hold."""
    return {"rule": rule, "message": message}


#: Hours, minutes and seconds, each of them optional; of nothing, nothing.
DURATION = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,9}s)?$"
DURATION_RULE = cel(
    f"self != '' && self.matches('{DURATION}')",
    'write a duration in hours, minutes and seconds, for example "20s" or "1m30s"',
)

DNS_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"

URL = r"^https?://[^\s/@]+(/[^\s]*)?$"
DIGEST = r"^sha256:[0-9a-f]{64}$"

#: The name of an object or of an item of a list.
Name = Annotated[str, Field(min_length=1, max_length=52, pattern=DNS_LABEL)]
#: A name with '*' for any text.
Glob = Annotated[str, Field(min_length=1, max_length=128)]
#: Human text.
Text = Annotated[str, Field(max_length=1024)]
#: A pod template of the pinned Kubernetes, kept as it was written.
PodTemplate = Annotated[dict[str, Any], WithJsonSchema({"x-embed": "PodTemplateSpec"})]
#: Resource requests and limits of a container.
Resources = Annotated[dict[str, Any], WithJsonSchema({"x-embed": "ResourceRequirements"})]


class Ref(Model):
    """The name of another object in the same namespace."""

    name: Name = Field(description="Name of the object.")


class SecretKeyRef(Model):
    """One key of a Secret in the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="Name of the Secret.")
    key: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="Key inside the Secret.")


class Metadata(Model):
    """The part of an object's metadata that we read."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None


class ConditionStatus(Model):
    """One condition, as Kubernetes defines them."""

    type: Annotated[str, Field(max_length=64)] = Field(description="What the condition is about.")
    status: Annotated[str, Field(max_length=16, pattern="^(True|False|Unknown)$")] = Field(
        description="True, False or Unknown."
    )
    observed_generation: int = Field(default=0, description="Generation of the spec that this describes.")
    last_transition_time: Annotated[str, Field(max_length=32)] = Field(
        description="When the status last changed, RFC 3339."
    )
    reason: Annotated[str, Field(max_length=64)] = Field(description="Why, from the documented list of reasons.")
    message: Annotated[str, Field(max_length=4096)] = Field(description="What it means and what to do, for people.")


Conditions = Annotated[
    list[ConditionStatus],
    Field(max_length=16, json_schema_extra={"x-map-keys": ["type"]}),
]

#: Names of what is made for an object derive from its own, with suffixes, and become DNS labels.
NAME_RULE = cel(
    "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$')",
    "metadata.name must be at most 52 lower-case letters, digits and '-', and start with a letter",
)
