"""All tool servers as one: whatever is said there, in whatever order, one answer comes and nothing is left behind."""

import contextlib
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import process_watch
from support.callers.mcp_callers import Caller, a_tool, with_tools
from support.callers.raw_caller import converse
from support.hostile.cases import MARK, get, request
from support.hostile.merged import MESSAGES, call
from support.programs.sidecars import sidecar
from support.servers.mcp_servers import HANDSHAKE, MODERN, mcp_server, says, text
from support.waiting import until


@pytest.fixture(scope="module")
def old():
    with mcp_server(HANDSHAKE, {"lookup": says("found"), "hidden": says("no")}) as server:
        yield server


@pytest.fixture(scope="module")
def car(old):
    with (
        mcp_server(MODERN, {"lookup": says("new")}) as new,
        sidecar(policy=with_tools(a_tool(old.url, "old", "lookup"), a_tool(new.url, "new", "lookup"))) as running,
    ):
        yield running
        assert "Traceback" not in running.log


@pytest.fixture(scope="module")
def caller(car):
    return Caller(car)


def said(body: bytes, *fields: bytes, line: bytes = b"POST /mcp HTTP/1.1") -> bytes:
    return request(b"connection: close", *fields, b"content-length: %d" % len(body), body=body, line=line)


def of(caller: Caller) -> bytes:
    return b"mcp-session-id: " + caller.headers["mcp-session-id"].encode()


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in MESSAGES])
async def test_an_odd_message_has_one_answer(car, old, caller, case):
    before = len(old.calls)

    heard = await converse(car.data_port, said(case.body, of(caller)))

    (answer,) = heard.answers
    assert (answer.status, heard.ended, MARK in heard.data) == (case.status, "closed", False)
    assert code_of(answer.body) == case.code
    assert set(old.calls[before:]) <= {"lookup"}


def code_of(body: bytes) -> int | None:
    return json.loads(body).get("error", {}).get("code") if body else None


FOREIGN = {
    "no session": ((), 400),
    "a session of nobody": ((b"mcp-session-id: " + MARK,), 404),
    "a session that is empty": ((b"mcp-session-id:",), 404),
    "a session in high bytes": ((b"mcp-session-id: \xff\xfe",), 404),
    "a version of nobody": ((b"mcp-protocol-version: 1999-01-01",), 400),
    "a version in high bytes": ((b"mcp-protocol-version: \xff",), 400),
    "a version that needs more": ((b"mcp-protocol-version: " + MODERN.encode(),), 400),
}


@pytest.mark.parametrize(("fields", "status"), FOREIGN.values(), ids=FOREIGN)
async def test_a_message_outside_of_a_session_reaches_no_server(car, old, fields, status):
    before = len(old.heard)
    (answer,) = (await converse(car.data_port, said(call("old_lookup"), *fields))).answers
    assert (answer.status, MARK in answer.body) == (status, False)
    assert len(old.heard) == before


CONTRADICTIONS = {
    "two sessions": ((b"mcp-session-id: " + MARK,), 400),
    "a name that is another": ((b"mcp-name: old_hidden",), 400),
    "two names": ((b"mcp-name: old_lookup", b"mcp-name: old_hidden"), 400),
    "a body that is compressed": ((b"content-encoding: gzip",), 400),
    "a page of another site": ((b"origin: http://evil.test",), 403),
    "a page of no site": ((b"origin: null",), 403),
    "a page of a name like ours": ((b"origin: http://127.0.0.1.evil.test",), 403),
    "a page that is local and one that is not": ((b"origin: http://localhost", b"origin: http://evil.test"), 403),
}


@pytest.mark.parametrize(("fields", "status"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
async def test_fields_that_contradict_a_message_refuse_it(car, old, caller, fields, status):
    before = len(old.heard)
    (answer,) = (await converse(car.data_port, said(call("old_lookup"), of(caller), *fields))).answers
    assert (answer.status, MARK in answer.body) == (status, False)
    assert len(old.heard) == before


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"GET /mcp", 405), (b"PUT /mcp", 405), (b"OPTIONS /mcp", 405), (b"DELETE /mcp", 404), (b"POST /mcp/", 404),
     (b"POST /mcp/.", 404), (b"POST /mcp/old/x", 404), (b"POST /mcp%2fold", 404), (b"POST /mcp;x", 404),
     (b"POST /MCP", 404)],
)  # fmt: skip
async def test_a_path_or_method_of_nobody_reaches_no_server(car, old, line, status):
    before = len(old.heard)
    (answer,) = (await converse(car.data_port, said(call("old_lookup"), line=line + b" HTTP/1.1"))).answers
    assert (answer.status, len(old.heard)) == (status, before)


def test_of_calls_under_one_id_that_come_at_once_one_is_answered_and_the_others_are_told():
    begun, go_on = threading.Event(), threading.Event()

    def slow(message):
        begun.set()
        go_on.wait(60)
        return text(message, "late")

    with (
        mcp_server(HANDSHAKE, {"slow": slow}) as server,
        sidecar(policy=with_tools(a_tool(server.url, "old"))) as car,
        ThreadPoolExecutor(8) as pool,
    ):
        caller = Caller(car)
        # Nothing is known of the server yet, so all of them wait for its list before they ask it.
        calls = [pool.submit(caller.call, "old_slow", 7) for _ in range(8)]
        assert begun.wait(60)
        until(lambda: sum(each.done() for each in calls) == 7)
        go_on.set()

        assert sorted(each.result().status for each in calls) == [200] + [400] * 7
        assert server.calls == ["slow"]
        assert "Traceback" not in car.log


def test_a_call_that_is_called_off_before_its_server_is_asked_never_asks_it():
    with call_under_way() as (server, car, caller, waiting):
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
        assert car.post("/mcp", cancelled, caller.headers).status == 202
        server.resumed.set()

        assert waiting.result().json["error"]["data"]["code"] == "cancelled"
    assert server.calls == []


def test_a_session_that_ends_before_its_server_is_asked_opens_none_there():
    with call_under_way() as (server, car, caller, waiting):
        assert car.get("/mcp", "DELETE", **caller.headers).status == 204
        server.resumed.set()

        assert waiting.result().json["error"]["data"]["code"] == "cancelled"
        assert caller.call("old_lookup").status == 404
    assert len(server.messages("initialize")) == 1  # the sidecar's own, for the list


@contextlib.contextmanager
def call_under_way():
    """A call, 7, of a tool whose server does not answer yet when it is asked for its list."""
    with mcp_server(HANDSHAKE, {"lookup": says("found")}) as server:
        server.paused.set()
        with sidecar(policy=with_tools(a_tool(server.url, "old"))) as car, ThreadPoolExecutor(1) as pool:
            caller = Caller(car)
            waiting = pool.submit(caller.call, "old_lookup", 7)
            until(lambda: server.messages("tools/list"))
            yield server, car, caller, waiting


def test_sessions_without_end_cost_neither_memory_nor_sessions_of_servers(car, old, caller):
    for _ in range(300):
        caller = Caller(car)
    memory = process_watch.resident(car.process.pid)
    for _ in range(300):
        assert Caller(car).call("old_lookup").status == 200
    until(lambda: len(old.sessions) <= 257)
    assert process_watch.resident(car.process.pid) - memory < 12 * 2**20
    assert caller.call("old_lookup").status == 404


def test_streams_that_are_opened_and_left_leave_nothing(car):
    sockets = process_watch.sockets(car.process.pid)
    callers = [socket.create_connection(("127.0.0.1", car.data_port)) for _ in range(400)]
    for each in callers:
        each.sendall(get(b"/mcp", b"accept: text/event-stream").replace(b"connection: close\r\n", b""))
    assert {each.recv(12) for each in callers} == {b"HTTP/1.1 405"}
    for each in callers:
        each.close()
    until(lambda: process_watch.sockets(car.process.pid) <= sockets)
