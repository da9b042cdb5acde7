"""The wrapper may import nothing of ours, so its copies of shared names are held equal to the contract here."""

import ast
from pathlib import Path

import pytest
from agenttype_api import keys
from agenttype_wrapper import install
from agenttype_wrapper.payload.python._agenttype_wrapper import environment

SITECUSTOMIZE = Path(install.PAYLOAD) / "python" / "sitecustomize.py"


@pytest.mark.parametrize(
    ("copy", "original"),
    [
        (environment.LLM_SIDECAR_URL, keys.ENV_LLM_SIDECAR_URL),
        (environment.WRAPPER, keys.ENV_WRAPPER),
        (environment.DEBUG, keys.ENV_DEBUG),
        (environment.WRAPPER_STATE, keys.ENV_WRAPPER_STATE),
        (environment.ROOT, keys.WRAPPER_ROOT),
        (environment.PYTHON, keys.WRAPPER_PYTHON),
        (environment.HEADER_PROCESS, keys.HEADER_PROCESS),
        (environment.HEADER_WRAPPER, keys.HEADER_WRAPPER),
    ],
)
def test_a_name_of_the_wrapper_is_the_contracts(copy, original):
    assert copy == original


def test_the_first_module_uses_no_other_variable_of_ours():
    constants = [
        node.value for node in ast.walk(ast.parse(SITECUSTOMIZE.read_text())) if isinstance(node, ast.Constant)
    ]
    ours = {value for value in constants if isinstance(value, str) and value.startswith("AGENTTYPE_")}
    assert ours == {keys.ENV_WRAPPER, keys.ENV_DEBUG, keys.ENV_WRAPPER_STATE}


def test_the_payloads_python_part_is_what_the_agents_pythonpath_names():
    assert Path(install.PAYLOAD, "python").is_dir()
    assert f"{keys.WRAPPER_ROOT}/python" == keys.WRAPPER_PYTHON
