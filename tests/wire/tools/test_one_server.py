"""Tools through the sidecar: a real MCP server behind it, the official SDK and plain HTTP in front of it."""

import asyncio
import http.client
import json
import subprocess
from pathlib import Path

import pytest
from agenttype_api import policy as api
from support.ports import free_port
from support.programs.example_agents import GREEN, NORMS, python_of, running
from support.programs.sidecars import a_policy, sidecar
from support.servers.scripted_upstream import Close, Reset, Say, TakeRequest, scripted
from support.waiting import until

ACCEPT = {"accept": "application/json, text/event-stream"}
CLIENT = Path(__file__).parents[2] / "support" / "callers" / "mcp_client.py"
NOBODY = "http://127.0.0.1:9"


def a_tool(url, *allow, name="norms"):
    return api.Tool(name=name, url=url, allow=allow)


def with_tools(*tools):
    return a_policy(NOBODY, tools=tools)


def a_message(method, **params):
    return {"jsonrpc": "2.0", "id": 3, "method": method, "params": params}


@pytest.fixture(scope="module")
def norms(tmp_path_factory):
    with running(NORMS, tmp_path_factory.mktemp("norms")) as program:
        yield program


@pytest.fixture(scope="module")
def car(norms):
    policy = with_tools(
        a_tool(f"{norms.url}/mcp", "lookup_*", "list_*"),
        a_tool(f"http://127.0.0.1:{free_port()}/mcp", "*", name="dead"),
    )
    with sidecar(policy=policy) as running_sidecar:
        yield running_sidecar


def seen_by_the_sdk(car, tool, **arguments):
    command = [python_of(GREEN), CLIENT, f"{car.url}/mcp/norms", tool, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_official_sdk_sees_and_calls_what_policy_allows(car):
    seen = seen_by_the_sdk(car, "lookup_norm", program="sshd")

    assert seen["tools"] == ["list_programs", "lookup_norm"]
    assert "failed passwords are not" in seen["text"]


def test_the_official_sdk_is_told_that_a_tool_is_not_allowed(car):
    assert "not allowed by the agent's policy" in seen_by_the_sdk(car, "delete_norm", program="sshd")["refused"]


def test_a_forbidden_call_never_reaches_the_server(car, norms):
    before = norms.log.read_text().count("delete_norm")

    answer = car.post("/mcp/norms", a_message("tools/call", name="delete_norm", arguments={}), ACCEPT)

    assert answer.status == 200
    assert answer.json == {
        "jsonrpc": "2.0",
        "id": 3,
        "error": {
            "code": -32000,
            "message": "this tool is not allowed by the agent's policy",
            "data": {"code": "tool_not_allowed"},
        },
    }
    assert norms.log.read_text().count("delete_norm") == before


def test_a_call_is_counted_with_its_time_and_its_outcome(car):
    before = car.total("agenttype_tool_calls_total", 'tool="lookup_norm"', 'outcome="ok"')

    car.post("/mcp/norms", a_message("tools/call", name="lookup_norm", arguments={"program": "sshd"}), ACCEPT)

    assert car.total("agenttype_tool_calls_total", 'tool="lookup_norm"', 'outcome="ok"') == before + 1
    assert car.total("agenttype_tool_time_seconds_total", 'tool="lookup_norm"') > 0


def test_a_server_that_is_down_is_an_error_of_the_protocol(car):
    answer = car.post("/mcp/dead", a_message("tools/call", name="x", arguments={}), ACCEPT)

    assert (answer.status, answer.json["error"]["data"]) == (200, {"code": "tool_unavailable"})


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/mcp/unknown", a_message("tools/list"), 404),
        ("/mcp/../control", a_message("tools/list"), 404),
        ("/mcp/norms/more", a_message("tools/list"), 404),
        ("/mcp/norms", b"not json", 400),
        ("/mcp/norms", [a_message("tools/call", name="lookup_norm")], 400),
        ("/mcp/norms", b'{"id":1,"method":"tools/call","params":{"name":"lookup_norm","name":"delete_norm"}}', 400),
        ("/mcp/norms", b" " * (4 * 1024 * 1024 + 1), 413),
    ],
    ids=["another server", "a way out", "below the server", "no JSON", "a batch", "two names", "too large"],
)
def test_what_cannot_be_judged_is_not_sent_on(car, path, body, status):
    answer = car.post(path, body, ACCEPT)

    assert answer.status == status
    assert b"delete_norm" not in answer.body


def test_a_header_that_names_another_tool_is_refused(car):
    message = a_message("tools/call", name="lookup_norm", arguments={"program": "sshd"})

    answer = car.post("/mcp/norms", message, {**ACCEPT, "mcp-name": "delete_norm"})

    assert answer.status == 400


def test_the_control_api_lists_the_servers_and_says_where_they_are(car):
    car.post("/mcp/norms", a_message("tools/call", name="lookup_norm", arguments={"program": "sshd"}), ACCEPT)
    car.post("/mcp/dead", a_message("tools/call", name="x", arguments={}), ACCEPT)

    norms, dead = car.control("/agenttype/v1/tools").json

    assert (norms["name"], norms["path"], norms["protocol"]) == ("norms", "/mcp/norms", "MCP")
    assert (norms["allow"], norms["state"], dead["state"]) == (["lookup_*", "list_*"], "Ready", "Unavailable")


def test_a_new_policy_closes_a_tool_without_a_restart(norms, tmp_path):
    open_policy, closed = with_tools(a_tool(f"{norms.url}/mcp", "*")), with_tools(a_tool(f"{norms.url}/mcp"))
    call = a_message("tools/call", name="lookup_norm", arguments={"program": "sshd"})
    with sidecar(policy=open_policy, folder=tmp_path) as car:
        assert "result" in json.loads(car.post("/mcp/norms", call, ACCEPT).events[-1])

        car.set_policy(closed)
        until(lambda: car.control("/agenttype/v1/policy").json["policyHash"] == closed.hash())

        assert car.post("/mcp/norms", call, ACCEPT).json["error"]["data"]["code"] == "tool_not_allowed"


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def a_chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


async def streamed(script):
    async with scripted(script) as server:
        policy = with_tools(a_tool(f"http://127.0.0.1:{server.port}/mcp", "lookup_*"))
        async with sidecar(policy=policy) as car:
            return await asyncio.to_thread(car.post, "/mcp/norms", a_message("tools/list"), ACCEPT)


async def test_a_streamed_list_is_filtered_and_other_events_pass_byte_for_byte():
    progress = b'event: message\r\nid: 5\r\ndata: {"method":"notifications/progress"}\r\n\r\n'
    listed = b'id: 6\ndata: {"id":3,"result":{"tools":[{"name":"lookup_norm"},{"name":"delete_norm"}]}}\n\n'
    body = a_chunk(progress + listed[:40]) + a_chunk(listed[40:]) + b"0\r\n\r\n"

    answer = await streamed([TakeRequest(), Say(HEAD + body)])

    assert answer.body.startswith(progress)
    rest = answer.body.removeprefix(progress)
    assert b"id: 6\n" in rest
    assert json.loads(rest.partition(b"data: ")[2].splitlines()[0])["result"] == {"tools": [{"name": "lookup_norm"}]}


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
async def test_a_cut_stream_stays_a_cut(end):
    event = b'data: {"method":"notifications/progress"}\n\n'

    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        await streamed([TakeRequest(), Say(HEAD + a_chunk(event)), end])


async def test_an_answer_in_an_encoding_that_hides_it_is_not_passed_on():
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n"

    answer = await streamed([TakeRequest(), Say(head + b"{}")])

    assert answer.json["error"]["data"] == {"code": "tool_unavailable"}


def test_the_client_of_these_tests_knows_nothing_of_us():
    assert "agenttype" not in CLIENT.read_text()
