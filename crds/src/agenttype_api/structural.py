"""From a pydantic model to a structural schema that the API server takes, refusing whatever has no faithful form.

Refusal is the feature: a construct that would be dropped or misread by Kubernetes stops the generator with the path
of the field. Marks of `schema` are resolved here: `x-embed`, `x-cel`, `x-map-keys`, `x-set`.
"""

import copy
import json
from importlib import resources
from typing import Any

from pydantic import BaseModel

from agenttype_api import template_rules

Schema = dict[str, Any]

_PLAIN = {"type", "format", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "enum"}
_DROPPED = {"title", "examples"}
_MARKS = {"x-embed", "x-cel", "x-map-keys", "x-set"}
_HANDLED = {"properties", "required", "items", "description", "default", "additionalProperties", "const", "anyOf"}


class NotExpressible(Exception):  # noqa: N818 — a finding about a model, raised while generating
    """A model uses something that a structural schema cannot say; the message names the field."""


def structural(model: type[BaseModel]) -> Schema:
    """Return the structural schema of a model, references inlined."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(schema, schema.get("$defs", {}), model.__name__)


def _convert(schema: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    schema = _optional_member(_inline(schema, definitions, path), definitions, path)
    if "x-embed" in schema:
        return _with_description(_embedded(schema["x-embed"]), schema)
    _refuse_inexpressible(schema, path)
    found: Schema = {key: value for key, value in schema.items() if key in _PLAIN}
    if "const" in schema:
        found["enum"] = [schema["const"]]
    if found.get("type") == "integer":
        found.setdefault("format", "int64")
    if "properties" in schema:
        found["properties"] = {
            name: _convert(part, definitions, f"{path}.{name}") for name, part in schema["properties"].items()
        }
    if schema.get("required"):
        found["required"] = sorted(schema["required"])
    if "items" in schema:
        found["items"] = _convert(schema["items"], definitions, f"{path}[]")
        found["items"].pop("description", None)
    _apply_marks(found, schema)
    if schema.get("default") is not None:
        found["default"] = _present(schema["default"])
    if "type" not in found:
        raise NotExpressible(f"{path}: no type")
    return _with_description(found, schema)


def _present(default: Any) -> Any:
    """Return a default without its nulls: absence is how Kubernetes says nothing."""
    if isinstance(default, dict):
        return {name: _present(value) for name, value in default.items() if value is not None}
    return default


def _refuse_inexpressible(schema: Schema, path: str) -> None:
    unknown = set(schema) - _PLAIN - _DROPPED - _MARKS - _HANDLED - {"$defs"}
    if unknown:
        raise NotExpressible(f"{path}: a structural schema cannot say {sorted(unknown)}")
    if isinstance(schema.get("additionalProperties"), dict):
        raise NotExpressible(f"{path}: maps are not used; write a list with x-map-keys")


def _inline(schema: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    """Replace a `$ref` by what it names; members beside it win."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rsplit("/", 1)[-1]
    if f".{name}." in path:
        raise NotExpressible(f"{path}: refers to itself")
    return {**definitions[name], **{key: value for key, value in schema.items() if key != "$ref"}}


def _optional_member(schema: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    """Turn `X | None` into X: absence is how Kubernetes says nothing."""
    if "anyOf" not in schema:
        return schema
    members = [part for part in schema["anyOf"] if part.get("type") != "null"]
    if len(members) != 1:
        raise NotExpressible(f"{path}: a union of several types")
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    return {**_inline(members[0], definitions, path), **rest}


def _apply_marks(found: Schema, schema: Schema) -> None:
    if "x-cel" in schema:
        found["x-kubernetes-validations"] = schema["x-cel"]
    if "x-map-keys" in schema:
        found["x-kubernetes-list-type"] = "map"
        found["x-kubernetes-list-map-keys"] = schema["x-map-keys"]
    elif schema.get("x-set"):
        found["x-kubernetes-list-type"] = "set"
    elif found.get("type") == "array":
        found["x-kubernetes-list-type"] = "atomic"


def _with_description(found: Schema, schema: Schema) -> Schema:
    text = " ".join(schema.get("description", "").split())
    return {"description": text, **found} if text else found


def _embedded(name: str) -> Schema:
    """Return a schema of Kubernetes itself, bounded where our rules walk it."""
    text = resources.files("agenttype_api").joinpath("kubernetes_schema.json").read_text()
    schema: Schema = copy.deepcopy(json.loads(text)[name])
    if name == "PodTemplateSpec":
        schema["properties"]["metadata"] = _METADATA
        for path, bound, value in template_rules.BOUNDS:
            _at(schema, path)[bound] = value
    return schema


#: Without properties of its own an embedded metadata would be pruned to nothing.
_METADATA: Schema = {
    "type": "object",
    "properties": {
        "labels": {
            "type": "object",
            "maxProperties": 64,
            "additionalProperties": {"type": "string", "maxLength": 63},
        },
        "annotations": {
            "type": "object",
            "maxProperties": 64,
            "additionalProperties": {"type": "string", "maxLength": 65536},
        },
    },
}


def _at(schema: Schema, path: str) -> Schema:
    """Return the part of a schema at a path such as `spec.volumes[].name`."""
    for step in path.split("."):
        name = step.removesuffix("[]")
        schema = schema["properties"][name]
        if step.endswith("[]"):
            schema = schema["items"]
    return schema
