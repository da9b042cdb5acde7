"""The official MCP conformance package against the sidecar: one server's path, and all servers in one.

On the merged path a tool is called `<server>_<tool>`, so the servers are named such that the scenarios' names come
out: `test_simple_text` is the tool `simple_text` of the server `test`.
"""

import pytest
from agenttype_api import policy as api
from support.callers.mcp_conformance import complaints, everything
from support.ports import free_port
from support.programs.sidecars import a_policy, sidecar

NOBODY = "http://127.0.0.1:9"

#: What is about tools, and about being a server at all: it must hold on both paths.
TOOLS = (
    "server-initialize",
    "ping",
    "tools-list",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-error",
    "tools-call-with-progress",
    "json-schema-2020-12",
    "server-sse-polling",
    "server-sse-multiple-streams",
    "dns-rebinding-protection",
)
#: What one server's own path passes on and the merged path does not offer: it has tools and nothing else, does not
#: pass requests to the agent on, and declares no logging.
REST = (
    "logging-set-level",
    "tools-call-with-logging",
    "tools-call-sampling",
    "tools-call-elicitation",
    "elicitation-sep1034-defaults",
    "elicitation-sep1330-enums",
    "completion-complete",
    "resources-list",
    "resources-read-text",
    "resources-read-binary",
    "resources-templates-read",
    "resources-subscribe",
    "resources-unsubscribe",
    "prompts-list",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-embedded-resource",
    "prompts-get-with-image",
)


@pytest.fixture(scope="module")
def car(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conformance")
    with (
        everything(free_port(), folder / "one.log") as one,
        everything(free_port(), folder / "test.log", "test_") as test,
        everything(free_port(), folder / "json.log", "json_") as json,
    ):
        tools = (
            api.Tool(name="one", url=one, allow=("*",)),
            api.Tool(name="test", url=test, allow=("*",)),
            api.Tool(name="json", url=json, allow=("schema_2020_12_tool",)),
        )
        with sidecar(policy=a_policy(NOBODY, tools=tools)) as running:
            yield running


@pytest.mark.parametrize("scenario", TOOLS + REST)
def test_one_servers_path_conforms(car, scenario, tmp_path):
    assert complaints(f"{car.url}/mcp/one", scenario, tmp_path) == ""


@pytest.mark.parametrize("scenario", TOOLS)
def test_the_merged_path_conforms(car, scenario, tmp_path):
    assert complaints(f"{car.url}/mcp", scenario, tmp_path) == ""
