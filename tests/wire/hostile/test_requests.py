"""Requests that no honest client sends: each is refused or read in the one way that everybody reads it.

The upstream behind the sidecar is stricter than any server, so whatever is forwarded ambiguously is noise there.
"""

import json

import pytest
from agenttype_api import policy as api
from support import process_watch
from support.callers.raw_caller import converse
from support.hostile import framing, heads
from support.hostile.cases import BODY, MARK
from support.hostile.policies import a_full_policy
from support.programs.sidecars import sidecar
from support.waiting import until

CORPUS = [
    *framing.CONFLICTS, *framing.CHUNKS, *framing.LINE_ENDS, *heads.TARGETS, *heads.FORMS, *heads.METHODS, *heads.HOSTS,
    *heads.FIELDS, *heads.UPGRADES, *heads.CODINGS, *heads.PIPELINES,
]  # fmt: skip
OWN = {b"/v1/chat/completions", b"/mcp"}
NEVER = {
    b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"http2-settings", b"proxy-authorization", b"cookie",
    b"expect", b"x-api-key", b"x-drop", b"content-encoding",
}  # fmt: skip


@pytest.fixture(scope="module")
def car(upstream):
    tools = (api.Tool(name="crm", url=f"{upstream.url}/mcp", allow=("lookup_*",)),)
    with sidecar(policy=a_full_policy(upstream.url, None, tools=tools)) as running:
        yield running


@pytest.fixture(scope="module")
def at_first(car):
    """What the process holds before the corpus, once its first call has loaded what calls need."""
    car.chat()
    return process_watch.resident(car.process.pid), process_watch.sockets(car.process.pid)


@pytest.mark.usefixtures("at_first")
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CORPUS])
async def test_a_hostile_request_is_refused_or_read_in_one_way(car, upstream, case):
    upstream.forget()

    heard = await converse(car.data_port, case.said)

    assert (heard.statuses, heard.ended) == (case.statuses, "closed")
    assert all(answer.complete for answer in heard.answers)
    assert MARK not in heard.data
    assert upstream.noise == []
    assert [arrival.json for arrival in upstream.arrivals] == [json.loads(BODY) | {"model": "base"}] * case.sent
    for arrival in upstream.arrivals:
        assert arrival.target.partition(b"?")[0] in OWN
        names = [name for name, _ in arrival.fields]
        assert not NEVER.intersection(names)
        assert MARK not in b"".join(value for _, value in arrival.fields)
        assert not any(b"_" in name or name.startswith(b"x-agenttype-") for name in names)
        assert arrival.all(b"host") == [b"127.0.0.1:%d" % upstream.port]
        assert arrival.all(b"authorization") == [b"Bearer the-pods-token"]
        assert arrival.all(b"content-type") == [b"application/json"]


async def test_after_all_of_it_nothing_is_left_in_the_process(car, at_first):
    memory, sockets = at_first
    until(lambda: process_watch.sockets(car.process.pid) <= sockets)
    assert car.control("/agenttype/v1/status").json["runningCalls"] == 0
    assert process_watch.resident(car.process.pid) - memory < 48 * 2**20
    assert "Traceback" not in car.log


def test_the_corpus_is_as_large_as_it_claims():
    assert len({case.name for case in CORPUS}) == len(CORPUS) >= 200
