"""A duration is written in one way in each kind of place; `quantities` says which, and why."""

import argparse
import re
from pathlib import Path

import pytest
import yaml
from agenttype_api import gate_policy, policy, quantities, v1alpha1
from agenttype_api.definitions import custom_resource_definitions
from agenttype_api.schema import DURATION_RULE, Document
from agenttype_gate import options as gate_options
from agenttype_sidecar import options as sidecar_options
from agenttype_simulator import options as simulator_options

ROOT = Path(__file__).resolve().parents[2]
PARSERS = {"sidecar": sidecar_options.parse, "gate": gate_options.parse, "simulator": simulator_options.parse}
DOCUMENTS = [
    kind
    for module in (policy, gate_policy)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Document) and kind.__module__ == module.__name__
]
#: How a name looks that says a unit of time.
A_UNIT = re.compile(r"(_ms|_s|[_a-z]seconds|Seconds|[mM]illis(econds)?|Ms)$")


def fields(schema, path="spec"):
    for name, part in schema.get("properties", {}).items():
        if "template" in (name, *path.split(".")) or name == "resources":  # Kubernetes' own
            continue
        yield f"{path}.{name}", name, part
        yield from fields(part.get("items", part), f"{path}.{name}")


FIELDS = [
    (definition["spec"]["names"]["kind"], *field)
    for definition in custom_resource_definitions()
    for field in fields(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
]


def options(name, monkeypatch):
    """Options of a program with their types."""
    found = []
    original = argparse.ArgumentParser.add_argument

    def noted(self, *names, **settings):
        found.append((names[0], settings.get("type")))
        return original(self, *names, **settings)

    monkeypatch.setattr(argparse.ArgumentParser, "add_argument", noted)
    with pytest.raises(SystemExit):
        PARSERS[name](["--help"])
    return found


@pytest.mark.parametrize(("kind", "path", "name", "part"), FIELDS, ids=[f"{kind}-{path}" for kind, path, *_ in FIELDS])
def test_a_duration_in_a_spec_is_a_text_as_kubernetes_writes_it(kind, path, name, part):
    assert not A_UNIT.search(name), (kind, path)
    assert part["type"] != "number"
    assert part.get("x-kubernetes-validations") != [DURATION_RULE] or part["type"] == "string"


@pytest.mark.parametrize("document", DOCUMENTS, ids=[document.__name__ for document in DOCUMENTS])
def test_a_duration_in_a_document_is_a_whole_number_of_milliseconds(document):
    for name, field in document.model_fields.items():
        assert "float" not in str(field.annotation), name
        assert name.endswith("_ms") or not A_UNIT.search(name), name


def test_every_deadline_of_the_policy_says_its_unit():
    assert all(name.endswith("_ms") for name in policy.Timeouts.model_fields)


@pytest.mark.parametrize("name", PARSERS)
def test_an_option_that_takes_a_time_says_seconds(name, monkeypatch, capsys):
    for option, kind in options(name, monkeypatch):
        assert (kind is float) == bool(re.search(r"-seconds$|-per-second$", option)), option
    capsys.readouterr()


def test_the_chart_s_values_say_durations_as_kubernetes_does():
    values = yaml.safe_load((ROOT / "charts/agenttype/values.yaml").read_text())

    def names(part):
        for name, value in part.items() if isinstance(part, dict) else ():
            yield name
            yield from names(value)

    assert not [name for name in names(values) if A_UNIT.search(name)]
    assert re.fullmatch(r"\d+s", values["metrics"]["serviceMonitor"]["interval"])


def test_a_spec_s_duration_becomes_a_document_s_without_a_loss():
    limits = v1alpha1.ToolLimitsSpec(timeout="1m30s")

    assert quantities.milliseconds(limits.timeout) == 90_000
    assert quantities.seconds(90_000) == 90.0
