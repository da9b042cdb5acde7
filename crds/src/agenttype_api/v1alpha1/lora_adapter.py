"""LoraAdapter: one adapter of one backend, served under an immutable, content-addressed name."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from agenttype_api.schema import DIGEST, Conditions, Metadata, Model, Ref, cel


class AdapterSource(Model):
    """Where an adapter's files are, and what they are."""

    path: Annotated[
        str,
        Field(
            min_length=1,
            max_length=512,
            json_schema_extra={
                "x-cel": [
                    cel(
                        "!self.startsWith('/') && !self.contains('..') && !self.contains('//')",
                        "source.path must be a relative path inside the backend's adapter volume, without '..'",
                    )
                ]
            },
        ),
    ] = Field(description="Folder of the adapter, relative to the backend's adapter volume.")
    digest: Annotated[str, Field(max_length=71, pattern=DIGEST)] = Field(
        description="sha256 over the folder's files, as `cd FOLDER && find . -type f | sed 's|^\\./||' | "
        "LC_ALL=C sort | xargs sha256sum | sha256sum` prints it, with 'sha256:' before it. "
        "It decides the served name; other files are never loaded under it."
    )


class LoraAdapterSpec(Model):
    """One adapter of one backend."""

    backend_ref: Ref = Field(description="The ModelBackend of this namespace that serves it.")
    source: AdapterSource = Field(description="The version to serve.")


class LoraAdapterStatus(Model):
    """What the operator saw."""

    observed_generation: int = Field(default=0, description="Generation of the spec that this describes.")
    served_name: Annotated[str, Field(max_length=128)] = Field(
        default="", description="Name under which the engine serves the version."
    )
    conditions: Conditions = Field(
        default=[], description="Accepted, ResolvedRefs, Loaded, and Ready which sums them up."
    )


class LoraAdapter(Model):
    """A LoRA adapter that a backend serves under an immutable, content-addressed name."""

    plural: ClassVar[str] = "loraadapters"
    api_version: Literal["agenttype.dev/v1alpha1"] = "agenttype.dev/v1alpha1"
    kind: Literal["LoraAdapter"] = "LoraAdapter"
    metadata: Metadata
    spec: LoraAdapterSpec = Field(description="What the user wants.")
    status: LoraAdapterStatus = Field(default=LoraAdapterStatus(), description="What the operator saw.")
