"""All MCP servers of a policy at `/mcp`: one list, calls to whichever server has the tool, in both eras."""

import json

import pytest
from support.callers.mcp_callers import ACCEPT, NOBODY, Caller, ModernCaller, a_tool, names, with_tools
from support.programs.sidecars import sidecar
from support.servers.mcp_servers import HANDSHAKE, MODERN, mcp_server, says, text
from support.waiting import until


def steps(message):
    token = message["params"]["_meta"]["progressToken"]
    for done in (1, 2):
        params = {"progressToken": token, "progress": done}
        yield {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
    yield text(message, "done")


def asks_for_sampling(message):
    yield {"jsonrpc": "2.0", "id": "s1", "method": "sampling/createMessage", "params": {"messages": []}}
    yield text(message, "asked")


def huge(message):
    return text(message, "x" * 1_000_000)


@pytest.fixture(scope="module")
def old():
    tools = {
        "lookup": says("from old"),
        "steps": steps,
        "samples": asks_for_sampling,
        "huge": huge,
        "hidden": says("no"),
    }
    with mcp_server(HANDSHAKE, tools) as server:
        yield server


@pytest.fixture(scope="module")
def new():
    schema = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
    tools = {
        "lookup": says("from new"),
        "steps": steps,
        "placed": says("placed"),
        "a.b/ü": says("odd"),
        "delete": says("no"),
    }
    definitions = {"placed": {"inputSchema": schema}, "lookup": {"outputSchema": {"type": "string"}}}
    with mcp_server(MODERN, tools, definitions=definitions) as server:
        yield server


@pytest.fixture(scope="module")
def car(old, new):
    policy = with_tools(
        a_tool(old.url, "old", "lookup", "steps", "samples", "huge"),
        a_tool(new.url, "new", "lookup", "steps", "placed", "a.b/*"),
        a_tool(f"{NOBODY}/mcp", "dead"),
    )
    with sidecar(policy=policy) as running:
        yield running


@pytest.fixture(autouse=True)
def _forget(old, new):
    old.heard.clear()
    new.heard.clear()


@pytest.fixture(params=[Caller, ModernCaller], ids=["2025-11-25", "2026-07-28"])
def caller(request, car):
    return request.param(car)


def events(answered):
    return [json.loads(event) for event in answered.events]


EVERY_TOOL = ["new_a_b___90f17b4bbb", "new_lookup", "new_placed", "new_steps", "old_huge", "old_lookup", "old_samples"]
EVERY_TOOL += ["old_steps"]


def test_one_list_has_the_allowed_tools_of_every_server_that_answers(caller):
    assert names(caller.ask("tools/list")) == EVERY_TOOL


@pytest.mark.parametrize(("tool", "said"), [("old_lookup", "from old"), ("new_lookup", "from new")])
def test_a_call_reaches_the_server_whose_tool_it_is(caller, tool, said):
    result = caller.call(tool).json["result"]

    assert result["content"] == [{"type": "text", "text": said}]


def test_a_server_hears_its_own_name_for_the_tool_and_its_own_era(caller, old, new):
    caller.call("old_lookup")
    caller.call("new_lookup")

    to_old, to_new = old.messages("tools/call")[0], new.messages("tools/call")[0]
    assert to_old.message["params"] == {"name": "lookup", "arguments": {}}
    assert to_old.headers["mcp-session-id"] in old.sessions
    assert "mcp-name" not in to_old.headers
    assert to_new.message["params"]["name"] == to_new.headers["mcp-name"] == "lookup"
    assert to_new.headers["mcp-protocol-version"] == MODERN
    assert "mcp-session-id" not in to_new.headers


def test_a_name_that_models_cannot_write_is_called_by_its_replacement(caller, new):
    assert caller.call("new_a_b___90f17b4bbb").json["result"]["content"][0]["text"] == "odd"
    assert new.calls == ["a.b/ü"]


@pytest.mark.parametrize("tool", ["old_hidden", "new_delete"])
def test_a_tool_that_policy_does_not_allow_is_not_called(caller, old, new, tool):
    answered = caller.call(tool)

    assert answered.json["error"]["data"] == {"code": "tool_not_allowed"}
    assert old.calls + new.calls == []


@pytest.mark.parametrize("tool", ["lookup", "other_lookup", "old", "old_", "", "new_a_b___0000000000"])
def test_an_unknown_name_is_no_tool(caller, old, new, tool):
    assert caller.call(tool).json["error"]["data"] == {"code": "tool_not_found"}
    assert old.calls + new.calls == []


@pytest.mark.parametrize("tool", ["old_steps", "new_steps"])
def test_progress_arrives_before_the_answer_under_the_callers_own_token(caller, tool):
    answered = caller.call(tool, _meta={"progressToken": "mine"})

    *before, last = events(answered)
    assert [each["params"] for each in before] == [{"progressToken": "mine", "progress": done} for done in (1, 2)]
    assert (last["id"], last["result"]["content"][0]["text"]) == (1, "done")


def test_a_caller_that_reads_no_streams_gets_the_answer_alone(car):
    caller = ModernCaller(car)

    answered = caller.call("old_steps", {"accept": "application/json"}, _meta={"progressToken": 1})

    assert answered.json["result"]["content"][0]["text"] == "done"


def test_what_a_server_asks_the_agent_is_refused_to_the_server(caller, old):
    answered = caller.call("old_samples")

    assert answered.json["result"]["content"][0]["text"] == "asked"
    until(lambda: [each for each in old.heard if each.message and each.message.get("id") == "s1"])
    declined = next(each for each in old.heard if each.message and each.message.get("id") == "s1")
    assert declined.message["error"]["code"] == -32601


def test_a_large_result_arrives_whole(caller):
    assert len(caller.call("old_huge").json["result"]["content"][0]["text"]) == 1_000_000


def test_a_dead_server_hides_only_itself_and_costs_the_others_no_time(car):
    caller = Caller(car)
    caller.ask("tools/list")

    assert names(caller.ask("tools/list")) == EVERY_TOOL
    assert caller.call("dead_lookup").json["error"]["data"] == {"code": "tool_unavailable"}
    assert car.total("agenttype_tool_listing_failures_total", 'server="dead"') >= 1


def test_the_handshake_offers_tools_only(car):
    offered = Caller(car).answer

    assert (offered["protocolVersion"], offered["capabilities"]) == (HANDSHAKE, {"tools": {}})


def test_discovery_names_both_eras(car):
    result = ModernCaller(car).ask("server/discover").json["result"]

    assert (result["supportedVersions"][0], result["capabilities"]) == (MODERN, {"tools": {}})
    assert {"2025-11-25", "2025-06-18"} < set(result["supportedVersions"])
    assert result["resultType"] == "complete"


def test_a_list_of_the_newer_era_says_how_long_it_is_good_for(car):
    result = ModernCaller(car).ask("tools/list").json["result"]

    assert (result["cacheScope"], result["resultType"]) == ("private", "complete")
    assert result["ttlMs"] > 0


def test_an_output_schema_that_the_older_era_cannot_read_is_left_out_there(car):
    def schema(caller):
        listed = caller.ask("tools/list").json["result"]["tools"]
        return next(tool for tool in listed if tool["name"] == "new_lookup").get("outputSchema")

    assert schema(ModernCaller(car)) == {"type": "string"}
    assert schema(Caller(car)) is None


def test_a_ping_is_answered(car):
    assert Caller(car).ask("ping").json["result"] == {}


@pytest.mark.parametrize("method", ["prompts/list", "resources/list", "completion/complete", "no/such"])
def test_other_methods_are_not_found(caller, method):
    assert caller.ask(method).json["error"]["code"] == -32601


def test_notifications_and_answers_are_taken_and_say_nothing(car):
    caller = Caller(car)

    said = [
        car.post("/mcp", message, caller.headers)
        for message in (
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}},
            {"jsonrpc": "2.0", "id": 5, "result": {}},
        )
    ]

    assert [(each.status, each.body) for each in said] == [(202, b"")] * 3


def test_nobody_listens_without_a_request(car):
    answered = car.get("/mcp", **ACCEPT)

    assert (answered.status, answered.headers["allow"]) == (405, "POST, DELETE")


# sessions


def test_each_caller_has_a_session_of_its_own_with_a_server_of_the_older_era(car, old):
    first, second = Caller(car), Caller(car)
    for caller in (first, second, first):
        caller.call("old_lookup")

    used = [each.headers["mcp-session-id"] for each in old.messages("tools/call")]
    assert first.headers["mcp-session-id"] != second.headers["mcp-session-id"]
    assert used[0] == used[2] != used[1]


@pytest.mark.parametrize("named", ["guessed", "0" * 32, "../x", "session-1"])
def test_a_foreign_session_is_not_found(car, old, named):
    caller = Caller(car)
    caller.headers["mcp-session-id"] = named

    answered = caller.call("old_lookup")

    assert (answered.status, answered.json["error"]["data"]) == (404, {"code": "session_not_found"})
    assert old.calls == []


def test_a_request_of_the_older_era_without_a_session_is_refused(car):
    answered = car.post("/mcp", Caller.message("tools/list"), ACCEPT)

    assert (answered.status, answered.json["error"]["data"]) == (400, {"code": "session_missing"})


def test_an_ended_session_is_gone_here_and_at_the_servers(car, old):
    caller = Caller(car)
    caller.call("old_lookup")
    theirs = old.messages("tools/call")[0].headers["mcp-session-id"]

    ended = car.get("/mcp", "DELETE", **{"mcp-session-id": caller.headers["mcp-session-id"]})

    assert ended.status == 204
    assert caller.call("old_lookup").status == 404
    until(lambda: theirs not in old.sessions)


def test_a_server_that_forgot_its_session_is_shaken_hands_with_again(car, old):
    caller = Caller(car)
    caller.call("old_lookup")
    old.sessions.clear()

    assert "result" in caller.call("old_lookup").json


def test_sessions_without_end_cost_only_the_oldest(car):
    first = Caller(car)
    last = [Caller(car) for _ in range(256)][-1]

    assert (first.ask("ping").status, last.ask("ping").status) == (404, 200)


# what contradicts itself


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"mcp-name": "new_lookup"}, -32020),
        ({"mcp-method": "tools/list"}, -32020),
        ({"mcp-protocol-version": "2027-01-01"}, -32020),
    ],
)
def test_a_field_that_contradicts_the_body_is_refused(car, old, new, said, code):
    answered = ModernCaller(car).call("old_lookup", said)

    assert (answered.status, answered.json["error"]["code"]) == (400, code)
    assert old.calls + new.calls == []


def test_a_version_that_nobody_speaks_is_told_which_are_spoken(car):
    meta = {"io.modelcontextprotocol/protocolVersion": "2027-01-01"}

    answered = ModernCaller(car).ask("tools/list", {"mcp-protocol-version": "2027-01-01"}, _meta=meta)

    assert (answered.status, answered.json["error"]["code"]) == (400, -32022)
    assert MODERN in answered.json["error"]["data"]["supported"]


def test_a_request_of_the_newer_era_says_what_its_client_can_do(car):
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {}}}

    answered = car.post("/mcp", message, {**ACCEPT, "mcp-protocol-version": MODERN, "mcp-method": "tools/list"})

    assert (answered.status, answered.json["error"]["code"]) == (400, -32602)


def test_an_argument_that_travels_as_a_field_too_is_written_from_the_body(caller, new):
    caller.call("new_placed", arguments={"region": "Köln"})

    assert new.messages("tools/call")[0].headers["mcp-param-region"] == "=?base64?S8O2bG4=?="


def test_a_field_that_contradicts_its_argument_is_refused(car, new):
    answered = ModernCaller(car).call("new_placed", {"mcp-param-region": "eu"}, arguments={"region": "us"})

    assert (answered.status, answered.json["error"]["code"]) == (400, -32020)
    assert new.calls == []


@pytest.mark.parametrize(
    "body",
    [
        b'[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"old_lookup","name":"old_hidden"}}',
        b'{"jsonrpc":"2.0","id":null,"method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":true,"method":"tools/list"}',
        b"not json",
        b"",
    ],
    ids=["a batch", "two names", "no id", "a strange id", "no JSON", "nothing"],
)
def test_what_cannot_be_read_in_one_way_is_refused(car, old, body):
    answered = car.post("/mcp", body, Caller(car).headers)

    assert answered.status == 400
    assert old.calls == []


def test_a_page_of_another_site_may_not_ask(car):
    caller = Caller(car)
    caller.headers["origin"] = "http://evil.example.com"

    assert caller.ask("ping").status == 403


@pytest.mark.parametrize("cursor", ["%%%", 7, "gA"])
def test_a_cursor_that_is_not_ours_is_refused(caller, cursor):
    assert caller.ask("tools/list", cursor=cursor).json["error"]["data"] == {"code": "invalid_cursor"}
