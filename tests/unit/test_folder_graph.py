"""The folders and modules at the top of a room import each other without a cycle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {room.name: room for room in sorted(ROOT.glob("**/src/agenttype_*")) if room.is_dir()}


def modules(room):
    """Dotted name → file of every module of a room."""
    names = {path: path.relative_to(room.parent).with_suffix("").parts for path in room.rglob("*.py")}
    return {".".join(parts).removesuffix(".__init__"): path for path, parts in names.items()}


def imported(path, dotted):
    """Dotted names that a module imports; a name that is imported from a module stands as a member of it."""
    package = dotted if path.name == "__init__.py" else dotted.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: -node.level + 1 or None] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def top(dotted):
    """The folder or module at the top of its room that a module stands in; the room's own docstring is none."""
    return dotted.split(".")[1] if "." in dotted else None


def folder_graph(room):
    """Folder → folders that it imports."""
    known = modules(room)
    tops = {top(dotted) for dotted in known} - {None}
    graph = {name: set() for name in tops}
    for dotted, path in known.items():
        for target in imported(path, dotted):
            if target.split(".")[0] == room.name and top(dotted) and top(target) in tops:
                graph[top(dotted)].add(top(target))
    return {name: targets - {name} for name, targets in graph.items()}


def test_every_room_is_looked_at():
    assert {"agenttype_api", "agenttype_operator", "agenttype_sidecar", "agenttype_proxy"} <= ROOMS.keys()


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS.keys())
def test_the_folders_of_a_room_form_no_cycle(room):
    try:
        TopologicalSorter(folder_graph(room)).prepare()
    except CycleError as error:
        pytest.fail(f"{room.name}: {' ← '.join(error.args[1])}")


def test_a_cycle_is_found(tmp_path):
    room = tmp_path / "agenttype_two"
    for folder, other in (("one", "two"), ("two", "one")):
        (room / folder).mkdir(parents=True)
        (room / folder / "code.py").write_text(f"def late():\n    from agenttype_two.{other} import code\n")

    assert folder_graph(room) == {"one": {"two"}, "two": {"one"}}
