"""The official Python SDK, unmodified, at the merged path: it finds the era by itself."""

import json
import subprocess
from pathlib import Path

import pytest
from agenttype_api import policy as api
from support.programs.example_agents import GREEN, NORMS, python_of, running
from support.programs.sidecars import a_policy, sidecar
from support.servers.mcp_servers import HANDSHAKE, mcp_server, says

NOBODY = "http://127.0.0.1:9"
CLIENT = Path(__file__).parents[2] / "support" / "callers" / "mcp_client.py"


@pytest.fixture(scope="module")
def car(tmp_path_factory):
    with (
        running(NORMS, tmp_path_factory.mktemp("norms")) as norms,
        mcp_server(HANDSHAKE, {"lookup": says("from the older era")}) as old,
    ):
        tools = (
            api.Tool(name="norms", url=f"{norms.url}/mcp", allow=("lookup_*", "list_*")),
            api.Tool(name="old", url=old.url, allow=("*",)),
            api.Tool(name="dead", url=f"{NOBODY}/mcp", allow=("*",)),
        )
        with sidecar(policy=a_policy(NOBODY, tools=tools)) as running_sidecar:
            yield running_sidecar


def seen(car, tool, **arguments):
    command = [python_of(GREEN), CLIENT, f"{car.url}/mcp", tool, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_sees_the_tools_of_all_servers_and_calls_one_of_a_real_server(car):
    found = seen(car, "norms_lookup_norm", program="sshd")

    assert found["tools"] == ["norms_list_programs", "norms_lookup_norm", "old_lookup"]
    assert "failed passwords are not" in found["text"]


def test_it_calls_a_tool_of_a_server_of_the_older_era(car):
    assert seen(car, "old_lookup")["text"] == "from the older era"


def test_it_is_told_that_a_tool_is_not_allowed(car):
    assert "not allowed by the agent's policy" in seen(car, "norms_delete_norm", program="sshd")["refused"]
