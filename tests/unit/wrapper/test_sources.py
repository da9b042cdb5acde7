"""What may stand in the wrapper's sources: it runs on interpreters and beside libraries that are not ours."""

import ast
import sys
from pathlib import Path

import pytest
from support.programs import wrapped_agents

ROOM = wrapped_agents.SOURCES / "agenttype_wrapper"
SOURCES = sorted(ROOM.rglob("*.py"))
SITECUSTOMIZE = ROOM / "payload" / "python" / "sitecustomize.py"
OURS = {"agenttype_wrapper", "_agenttype_wrapper"}
PYTHON_2_ONLY = {"imp"}
NOT_IN_PYTHON_2 = (
    ast.AnnAssign,
    ast.AsyncFunctionDef,
    ast.Await,
    ast.JoinedStr,
    ast.MatMult,
    ast.NamedExpr,
    ast.Nonlocal,
    ast.YieldFrom,
)

each_source = pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOM)) for path in SOURCES])


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    absolute = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.split(".")[0] for name in plain | absolute}


@each_source
def test_only_the_standard_library_is_imported(path):
    assert imported(path) <= sys.stdlib_module_names | OURS | PYTHON_2_ONLY


@each_source
def test_the_syntax_is_that_of_python_3_8(path):
    ast.parse(path.read_text(), feature_version=(3, 8))


def test_the_first_module_is_ascii_because_python_2_wants_it():
    assert SITECUSTOMIZE.read_text().isascii()


def test_the_first_module_has_no_syntax_that_python_2_lacks():
    nodes = list(ast.walk(ast.parse(SITECUSTOMIZE.read_text())))
    assert [node for node in nodes if isinstance(node, NOT_IN_PYTHON_2)] == []
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if node.returns or node.args.kwonlyargs or node.args.posonlyargs] == []
    assert [node for node in nodes if isinstance(node, ast.Raise) and node.cause] == []
