"""Every refusal of sidecar and gate says a word of the contract, and every word is said."""

import ast
import importlib
import pkgutil
from pathlib import Path

import agenttype_gate
import agenttype_sidecar
import pytest
from agenttype_api.refusal_reasons import GATE, SIDECAR, RefusalReason
from agenttype_gate import errors as gate_errors
from agenttype_sidecar import errors as sidecar_errors

ROOMS = {
    SIDECAR: (agenttype_sidecar, sidecar_errors.Refusal),
    GATE: (agenttype_gate, gate_errors.Refusal),
}


def every_kind(base):
    for kind in base.__subclasses__():
        yield kind
        yield from every_kind(kind)


def refusals(name):
    room, base = ROOMS[name]
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return [kind for kind in every_kind(base) if hasattr(kind, "reason")]


REFUSALS = [(name, kind) for name in ROOMS for kind in refusals(name)]


def said(name):
    """Members that the room's code names."""
    [folder] = ROOMS[name][0].__path__
    trees = [ast.parse(file.read_text()) for file in Path(folder).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == "RefusalReason"}


@pytest.mark.parametrize(("name", "kind"), REFUSALS, ids=[f"{name}-{kind.__name__}" for name, kind in REFUSALS])
def test_a_refusal_says_a_word_of_the_contract_with_a_status_of_its_row(name, kind):
    assert isinstance(kind.reason, RefusalReason)
    assert name in kind.reason.said_by
    assert getattr(kind, "status", kind.reason.statuses[0]) in kind.reason.statuses


@pytest.mark.parametrize("name", ROOMS)
def test_a_component_says_all_the_words_that_the_contract_gives_it_and_no_other(name):
    assert said(name) == {reason.name for reason in RefusalReason if name in reason.said_by}


@pytest.mark.parametrize("reason", RefusalReason)
def test_a_reason_is_its_own_name_and_tells_what_is_wrong_and_what_to_do(reason):
    assert reason == reason.name.lower()
    for sentence in (reason.meaning, reason.fix):
        assert sentence.endswith(".")
        assert "|" not in sentence
