"""The generated schemas: bounded, described, and nothing in them that Kubernetes would misread."""

from typing import Annotated, Any, Literal

import pytest
from agenttype_api import definitions, generate, names, v1alpha1
from agenttype_api.schema import Model
from agenttype_api.structural import NotExpressible, structural
from pydantic import Field

EMBEDDED = {"template", "resources"}


def fields(schema, path="", name=""):
    if name in EMBEDDED:
        return
    yield path, schema
    for key, part in schema.get("properties", {}).items():
        yield from fields(part, f"{path}.{key}", key)
    if "items" in schema:
        yield from fields(schema["items"], f"{path}[]")


def own_fields():
    for definition in definitions.custom_resource_definitions():
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for part in ("spec", "status"):
            kind = definition["spec"]["names"]["kind"]
            yield from fields(schema["properties"][part], f"{kind}.{part}")


OWN = list(own_fields())
IDS = [path for path, _ in OWN]


@pytest.mark.parametrize(("path", "schema"), OWN, ids=IDS)
def test_every_field_is_bounded(path, schema):
    bounds = {"string": {"maxLength", "enum"}, "array": {"maxItems"}}.get(schema["type"])

    assert not bounds or bounds & set(schema), path


@pytest.mark.parametrize(("path", "schema"), OWN, ids=IDS)
def test_every_field_is_described(path, schema):
    assert path.endswith("[]") or schema.get("description"), path


@pytest.mark.parametrize(("path", "schema"), OWN, ids=IDS)
def test_no_field_is_a_boolean_or_a_float(path, schema):
    assert schema["type"] not in {"boolean", "number"}, path


class Fractional(Model):
    """Uses a bound that Kubernetes writes otherwise."""

    share: Annotated[float, Field(gt=0)] = Field(description="x")


class Either(Model):
    """Uses a union."""

    value: int | str = Field(description="x")


class Mapped(Model):
    """Uses a map."""

    value: dict[str, str] = Field(description="x")


class Untyped(Model):
    """Uses anything."""

    value: Any = Field(description="x")


@pytest.mark.parametrize("model", [Fractional, Either, Mapped, Untyped])
def test_what_a_structural_schema_cannot_say_is_refused(model):
    with pytest.raises(NotExpressible, match=model.__name__):
        structural(model)


class Fixed(Model):
    """Uses a constant and an optional member."""

    kind: Literal["a"] = Field(default="a", description="x")
    maybe: Annotated[str, Field(max_length=3)] | None = Field(default=None, description="y")


def test_a_constant_is_an_enum_and_an_optional_member_is_absent():
    assert structural(Fixed)["properties"] == {
        "kind": {"description": "x", "type": "string", "enum": ["a"], "default": "a"},
        "maybe": {"description": "y", "type": "string", "maxLength": 3},
    }


def test_generating_twice_gives_the_same_bytes():
    assert generate.generated() == generate.generated()


def test_the_longest_name_leaves_room_for_every_suffix():
    agent = v1alpha1.AgentType.model_validate(
        {
            "metadata": {"name": "a" * 52},
            "spec": {"template": {}, "models": [{"match": ["*"], "backendRef": {"name": "b"}}]},
        }
    )

    assert len(names.policy_config_map(agent)) <= 63
