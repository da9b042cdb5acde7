"""A served CustomResourceDefinition is compared with ours: what counts as a difference, and what does not."""

import copy

import pytest
from agenttype_api import definitions
from agenttype_operator.kube import crd_drift

[OURS] = [found for found in definitions.custom_resource_definitions() if found["spec"]["names"]["kind"] == "AgentType"]


def served(change):
    """The definition of AgentType, changed; `change` gets the version."""
    found = copy.deepcopy(OURS)
    change(found["spec"]["versions"][0])
    return found


def schema(version, *path):
    """The schema of a field below the root; `[]` steps into items."""
    found = version["schema"]["openAPIV3Schema"]
    for name in path:
        found = found["items"] if name == "[]" else found["properties"][name]
    return found


def without_field(version):
    del schema(version, "spec")["properties"]["description"]


def without_nested_field(version):
    del schema(version, "spec", "models", "[]")["properties"]["fallback"]


def without_rule(version):
    schema(version)["x-kubernetes-validations"].pop()


def without_default(version):
    del schema(version, "spec", "replicas")["default"]


def without_enum_value(version):
    schema(version, "spec", "interface", "protocol")["enum"].pop()


def with_required_field(version):
    schema(version, "spec").setdefault("required", []).append("replicas")


def with_other_name(version):
    version["name"] = "v1alpha0"


def without_scale(version):
    del version["subresources"]["scale"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_field, "spec.description"),
        (without_nested_field, "spec.models[].fallback"),
        (without_rule, "x-kubernetes-validations"),
        (without_default, "spec.replicas (default)"),
        (without_enum_value, "spec.interface.protocol (enum)"),
        (with_required_field, "spec (required)"),
        (with_other_name, "version v1alpha1"),
        (without_scale, "subresources"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_definition_that_says_something_else_is_told_with_the_field(change, told):
    assert told in crd_drift.difference(served(change), OURS)


def nothing(_):
    pass


def more_fields(version):
    schema(version, "spec")["properties"]["newer"] = {"type": "string"}


def more_enum_values(version):
    schema(version, "spec", "interface", "protocol")["enum"].append("Newer")


def other_words(version):
    schema(version, "spec")["description"] = "Other words."
    schema(version)["x-kubernetes-validations"][0]["message"] = "other words"


def other_order(version):
    schema(version, "spec")["required"].reverse()


@pytest.mark.parametrize(
    "change", [nothing, more_fields, more_enum_values, other_words, other_order], ids=lambda change: change.__name__
)
def test_a_definition_that_takes_all_that_ours_takes_is_no_difference(change):
    assert crd_drift.difference(served(change), OURS) == ""
