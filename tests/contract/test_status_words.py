"""Every condition and reason that is listed is used, and has a meaning; and no other is written."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest
from agenttype_api import conditions
from agenttype_api.conditions import Condition, Reason

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [file for room in ("crds", "operator") for file in (ROOT / room / "src").rglob("*.py")]


def used(enum):
    nodes = [node for file in SOURCES for node in ast.walk(ast.parse(file.read_text()))]
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1] == enum
    }


def meanings(enum):
    [body] = [
        node.body
        for node in ast.parse(Path(conditions.__file__).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == enum.__name__
    ]
    pairs = pairwise(body)
    return {
        member.targets[0].id: text.value.value
        for member, text in pairs
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr)
    }


@pytest.mark.parametrize("enum", [Condition, Reason])
def test_every_word_of_a_status_is_used_and_none_is_made_up(enum):
    names = {member.name for member in enum}

    assert names <= used(enum.__name__)
    assert {name for name in used(enum.__name__) if name.isupper()} == names


@pytest.mark.parametrize("enum", [Condition, Reason])
def test_every_word_of_a_status_is_in_kubernetes_spelling_and_has_a_meaning(enum):
    for member in enum:
        assert re.fullmatch(r"[A-Z][A-Za-z]+", member), member
        assert member.replace("_", "").lower() == member.name.replace("_", "").lower()
        assert meanings(enum)[member.name].endswith(".")
