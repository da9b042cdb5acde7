"""The gate is reached by many: requests that two servers could read in two ways come to an end there too."""

import json

import pytest
from support import process_watch
from support.callers.raw_caller import converse
from support.hostile import framing, heads
from support.hostile.cases import BODY, MARK, request
from support.programs.gates import a_gate_policy, caller, gate, write_policy
from support.servers.recording_upstream import recording
from support.servers.token_reviews import token_reviews
from support.waiting import until

#: The gate takes larger bodies; and a token would be put into the hidden request too, and change its length.
OTHERWISE = {
    "a length of 64 bits",
    "a chunk size of 64 bits",
    "chunks of more than a body may have",
    "a second request in the body",
}
CORPUS = [
    case
    for case in (*framing.CONFLICTS, *framing.CHUNKS, *framing.LINE_ENDS, *heads.FORMS, *heads.HOSTS, *heads.TARGETS)
    if case.name not in OTHERWISE | {"target /tokenize"}
]
CALLS = b"/v1/chat/completions"
HEARD = {b"host", b"content-length", b"content-type", b"accept", b"user-agent"}


@pytest.fixture(scope="module")
def engine():
    with recording() as running:
        yield running


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with token_reviews(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def door(tmp_path_factory, engine, api):
    place = tmp_path_factory.mktemp("gate")
    document = a_gate_policy(base_model="gpt-4o", callers=(caller("team-a/green", "gpt-4o"),))
    file = write_policy(place / "policy" / "gate.json", document)
    with gate(file, engine.url, place / "source", place / "adapters", **api.options()) as running:
        yield running.until_ready()


@pytest.fixture(scope="module")
def token(api):
    return b"authorization: Bearer " + api.token("team-a/green").encode()


def calls(engine):
    return [arrival for arrival in engine.arrivals if arrival.method == b"POST"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CORPUS if isinstance(case.said, bytes)])
async def test_a_hostile_request_to_the_gate_is_refused_or_read_in_one_way(door, engine, token, case):
    engine.forget()

    heard = await converse(door.ports["gate"], case.said.replace(b"\r\nhost: ", b"\r\n" + token + b"\r\nhost: "))

    assert (heard.statuses, heard.ended, MARK in heard.data) == (case.statuses, "closed", False)
    assert engine.noise == []
    assert [arrival.json for arrival in calls(engine)] == [json.loads(BODY)] * case.sent
    for arrival in calls(engine):
        assert arrival.target.partition(b"?")[0] == CALLS
        assert {name for name, _ in arrival.fields} <= HEARD


@pytest.mark.parametrize("part", ["{}", "[]", "0", '""'])
async def test_a_body_that_would_fill_the_memory_is_refused_unread(door, engine, token, part):
    engine.forget()
    memory = process_watch.resident(door.process.pid)
    body = f'{{"model":"gpt-4o","x":[{",".join([part] * 4_000_000)}]}}'.encode()
    (answer,) = (
        await converse(
            door.ports["gate"], request(token, b"connection: close", b"content-length: %d" % len(body), body=body)
        )
    ).answers
    assert (answer.status, calls(engine)) == (400, [])
    assert process_watch.resident(door.process.pid) - memory < 80 * 2**20


def test_after_all_of_it_the_gate_holds_nothing(door):
    until(lambda: process_watch.sockets(door.process.pid) <= 8)
    assert (door.health("/healthz").status, door.health("/readyz").status) == (200, 200)
