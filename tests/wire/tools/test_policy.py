"""Budgets and rules on tool calls: on one MCP server's path, on the merged one and on HTTP APIs alike."""

import http.client
import json

import pytest
from agenttype_api import policy as api
from agenttype_api.v1alpha1 import RuleAction, RuleTarget
from support.programs.sidecars import a_limit, a_policy, sidecar
from support.servers.mcp_servers import HANDSHAKE, MODERN, mcp_server, says, text
from support.servers.recording_upstream import recording
from support.servers.scripted_upstream import Say
from support.waiting import until

NOBODY = "http://127.0.0.1:9"
SECRET = "AKIA" + "X" * 16
META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}


def leaks_in_a_stream(message):
    yield {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "begun"}}
    yield {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": SECRET}}
    yield text(message, "done")


@pytest.fixture(scope="module")
def server():
    tools = {"lookup": says("found"), "leak": says(f"the key is {SECRET}"), "stream": leaks_in_a_stream}
    with mcp_server(HANDSHAKE, tools) as running:
        yield running


@pytest.fixture(scope="module")
def upstream():
    with recording() as running:
        yield running


@pytest.fixture(autouse=True)
def _forget(server, upstream):
    server.heard.clear()
    upstream.forget()


def an_answer(body, kind=b"application/json"):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
    return [Say(head % (kind, len(body)) + body)]


def a_rule(*on, name="no-keys", action=RuleAction.DENY, **members):
    return api.Rule(name=name, applies_to=tuple(RuleTarget(each) for each in on), action=action, **members)


def with_servers(server, upstream, **members):
    tools = (
        api.Tool(name="s", url=server.url, allow=("*",)),
        api.Tool(
            name="orders",
            protocol=api.ToolProtocol.HTTP,
            url=upstream.url,
            routes=(api.HttpRoute(methods=("GET", "POST"), path="*"),),
        ),
    )
    return a_policy(NOBODY, tools=tools, **members)


class OneServer:
    """A caller of the server's own path."""

    def __init__(self, car, server, _):
        self.car = car
        session = "of-the-test"
        server.sessions.add(session)
        self.headers = {"mcp-session-id": session}

    def call(self, tool="lookup", **arguments):
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        return code_of(self.car.post("/mcp/s", message, self.headers))


class AllServers:
    """A caller of the merged path."""

    def __init__(self, car, *_):
        self.car = car

    def call(self, tool="lookup", **arguments):
        name = f"s_{tool}"
        params = {"name": name, "arguments": arguments, "_meta": META}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        said = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": name}
        return code_of(self.car.post("/mcp", message, said))


SAID = {
    "lookup": an_answer(b'"found"'),
    "leak": an_answer(json.dumps({"text": f"the key is {SECRET}"}).encode()),
    "stream": an_answer(f"data: begun\n\ndata: {SECRET}\n\n".encode(), b"text/event-stream"),
}


class Api:
    """A caller of an HTTP API whose answers are what the MCP server's tools say."""

    def __init__(self, car, _, upstream):
        self.car = car
        self.upstream = upstream

    def call(self, tool="lookup", **arguments):
        self.upstream.answers(SAID[tool])
        try:
            answered = self.car.post(f"/tools/orders/{tool}", arguments)
        except (http.client.IncompleteRead, ConnectionResetError):
            return "cut"
        return answered.json["error"]["code"] if answered.status >= 400 else "ok"


def code_of(answered):
    last = json.loads(answered.events[-1]) if answered.events else answered.json
    return last["error"]["data"]["code"] if "error" in last else "ok"


@pytest.fixture(params=[OneServer, AllServers, Api], ids=["one server", "all servers", "an HTTP API"])
def kind(request):
    return request.param


def arrived(server, upstream):
    return len(server.calls) + len(upstream.arrivals)


def test_every_call_is_counted_against_the_budget_and_the_next_is_refused(kind, server, upstream):
    policy = with_servers(server, upstream, limits=(a_limit(2, "ToolCalls"),))
    with sidecar(policy=policy) as car:
        caller = kind(car, server, upstream)
        codes = [caller.call() for _ in range(3)]

        assert codes[:2] == ["ok", "ok"]
        assert codes[2] == "insufficient_quota"
        assert (car.spent(), car.held()) == (2, 0)
    assert arrived(server, upstream) == 2


def test_the_time_of_a_call_is_charged(kind, server, upstream):
    policy = with_servers(server, upstream, limits=(a_limit(60_000, "ToolTime"),))
    with sidecar(policy=policy) as car:
        kind(car, server, upstream).call()

        assert 0 < car.spent() < 30_000
        assert car.held() == 0


def test_a_call_may_not_take_longer_than_the_time_that_is_left(server, upstream):
    policy = with_servers(server, upstream, limits=(a_limit(300, "ToolTime"),))
    with sidecar(policy=policy) as car:
        upstream.answers([])
        answered = car.get("/tools/orders/slow")

        assert answered.json["error"]["code"] == "tool_timeout"
        assert 0 < car.spent() <= 300
        assert car.total("agenttype_budget_overspend_total") == 0


def test_a_call_that_was_never_sent_is_not_charged(server, upstream):
    dead = api.Tool(name="dead", url=f"{NOBODY}/mcp", allow=("*",))
    policy = with_servers(server, upstream, limits=(a_limit(2, "ToolCalls"),))
    policy = policy.model_copy(update={"tools": (*policy.tools, dead)})
    with sidecar(policy=policy) as car:
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x"}}

        assert code_of(car.post("/mcp/dead", message)) == "tool_unavailable"
        assert (car.spent(), car.held()) == (0, 0)


def test_a_rule_on_calls_denies_before_anything_is_sent(kind, server, upstream):
    policy = with_servers(server, upstream, rules=(a_rule("ToolCall", matches="AKIA[0-9A-Z]{16}"),))
    with sidecar(policy=policy) as car:
        caller = kind(car, server, upstream)

        assert caller.call(note=f"use {SECRET}") == "policy_violation"
        assert caller.call(note={SECRET: 1}) == "policy_violation"
        assert arrived(server, upstream) == 0
        assert caller.call(note="nothing") == "ok"
        noted = car.control("/agenttype/v1/violations").json
        log = car.log

    assert [(each["rule"], each["appliedTo"]) for each in noted] == [("no-keys", "ToolCall")] * 2
    assert SECRET not in json.dumps(noted) + log


@pytest.mark.parametrize("tool", ["leak", "stream"])
def test_a_rule_on_results_keeps_them_from_the_agent(kind, server, upstream, tool):
    policy = with_servers(server, upstream, rules=(a_rule("ToolResult", matches="AKIA[0-9A-Z]{16}"),))
    with sidecar(policy=policy) as car:
        caller = kind(car, server, upstream)

        assert caller.call(tool) in ("policy_violation", "cut")
        assert caller.call() == "ok"
        assert [each["appliedTo"] for each in car.control("/agenttype/v1/violations").json] == ["ToolResult"]


def test_a_rule_about_a_tool_leaves_others_alone(server, upstream):
    policy = with_servers(server, upstream, rules=(a_rule("ToolCall", tool="s/le*"),))
    with sidecar(policy=policy) as car:
        caller = AllServers(car)

        assert (caller.call("leak"), caller.call("lookup")) == ("policy_violation", "ok")


def test_a_rule_that_warns_lets_pass(kind, server, upstream):
    rule = a_rule("ToolCall", "ToolResult", matches="f", action=RuleAction.WARN)
    with sidecar(policy=with_servers(server, upstream, rules=(rule,))) as car:
        assert kind(car, server, upstream).call(note="f") == "ok"
        assert car.total("agenttype_violations_total", 'action="Warn"') == 2


def test_a_rule_that_stops_the_agent_ends_every_further_call(kind, server, upstream):
    rule = a_rule("ToolResult", matches="AKIA", action=RuleAction.STOP_AGENT)
    with sidecar(policy=with_servers(server, upstream, rules=(rule,))) as car:
        caller = kind(car, server, upstream)

        assert caller.call("leak") == "policy_violation"
        assert caller.call() == "agent_stopped"
        until(lambda: car.control("/agenttype/v1/policy").json["stopped"])
