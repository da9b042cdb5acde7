"""One class name, one meaning, in one room."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {room.name: room for room in sorted(ROOT.glob("**/src/agenttype_*")) if room.is_dir()}


def classes(room):
    """Class name → where it is defined."""
    found = defaultdict(list)
    for path in sorted(room.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name.lstrip("_")].append(f"{path.relative_to(room)}:{node.lineno}")
    return found


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS.keys())
def test_no_class_name_has_two_meanings_in_a_room(room):
    assert {name: places for name, places in classes(room).items() if len(places) > 1} == {}
