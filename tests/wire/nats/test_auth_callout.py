"""Who gets into the store of shared limits, and how far: a real NATS server and its auth callout."""

import asyncio
import json
import urllib.parse

import nats
import pytest
from agenttype_api.policy import Identity, Nats
from agenttype_api.v1alpha1 import Resource, Window
from agenttype_bus import streams, subjects
from agenttype_sidecar.leases.nats_store import NatsStore
from agenttype_sidecar.leases.shares import Account, Addition, Entry
from support.programs import stores

GREEN = "at.bud.day.team-a.agent.green.cost.cost.day.20000"
SHARED = "at.bud.day.team-a.budget.team.cost.cost.day.20000"
OTHERS = [
    "at.bud.day.team-a.agent.red.cost.cost.day.20000",
    "at.bud.day.team-b.agent.green.cost.cost.day.20000",
    "at.bud.day.team-b.budget.team.cost.cost.day.20000",
    "at.lease.day.team-a.agent.red.cost.cost.day.20000.returns",
]


@pytest.fixture(scope="module")
def reviews():
    with stores.token_reviews(green="team-a:green", red="team-a:red", blue="team-b:blue", dotted="team-a:x.y") as found:
        yield found


@pytest.fixture(scope="module")
def store(reviews, tmp_path_factory):
    with stores.store(reviews, tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.fixture
def url(store):
    return store.url


async def quiet(_):
    """Errors show in what is asked."""


async def connected(url, token, **options):
    inbox = subjects.inbox("team-a", "green")
    return await nats.connect(url, token=token, inbox_prefix=inbox, error_cb=quiet, allow_reconnect=False, **options)


async def refusal(url, token):
    """Try to connect with the bare protocol: the client library leaves its socket open when it is refused."""
    server = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(server.hostname, server.port)
    greeting = await reader.readline()
    writer.write(f"CONNECT {json.dumps({'auth_token': token, 'verbose': False})}\r\nPING\r\n".encode())
    async with asyncio.timeout(60):
        answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert greeting.startswith(b"INFO ")
    return answer.decode()


@pytest.fixture
async def green(url):
    client = await connected(url, "green")
    yield client
    await client.close()


async def added(client, subject, amount=1):
    return json.loads((await client.request(subject, b"", timeout=20, headers={"Nats-Incr": f"+{amount}"})).data)


@pytest.mark.parametrize("subject", [GREEN, SHARED])
async def test_a_sidecar_counts_in_its_agent_s_accounts_and_its_namespace_s_budgets(green, subject):
    first, second = await added(green, subject, 5), await added(green, subject, 7)

    assert int(second["val"]) - int(first["val"]) == 7
    stream = streams.counter_stream(Window.DAY)
    found = await green.request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", timeout=20)
    assert json.loads(found.data)["val"] == second["val"]


async def test_a_sidecar_writes_and_reads_entries_of_its_accounts(green):
    subject = "at.lease.day.team-a.budget.team.cost.cost.day.20000.pod-1"
    written = json.loads((await green.request(subject, b"[1]", timeout=20)).data)
    stream = streams.entry_stream(Window.DAY, "team-a")

    found = await green.request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", timeout=20)

    assert (found.data, found.headers["Nats-Sequence"]) == (b"[1]", str(written["seq"]))


@pytest.mark.parametrize("subject", OTHERS)
async def test_nobody_counts_or_writes_in_the_accounts_of_others(green, subject):
    with pytest.raises(TimeoutError):
        await green.request(subject, b"", timeout=0.3, headers={"Nats-Incr": "+1"})


@pytest.mark.parametrize("stream", ["AT_LEASE_DAY_team-b", "AT_LEASE_DAY_team-a-b", "AT_BUDGET_DAY"])
async def test_nobody_reads_the_entries_of_another_namespace(green, url, stream):
    other = await nats.connect(url, token="blue", inbox_prefix=subjects.inbox("team-b", "blue"))
    written = await other.request("at.lease.day.team-b.budget.team.cost.cost.day.20000.pod-1", b"[1]", timeout=20)
    await other.close()
    assert json.loads(written.data)["stream"] == "AT_LEASE_DAY_team-b"

    everything = json.dumps({"seq": 1, "batch": 10, "next_by_subj": ">"}).encode()
    with pytest.raises(TimeoutError):
        await green.request(f"$JS.API.DIRECT.GET.{stream}", everything, timeout=0.3)


@pytest.mark.parametrize(
    "subject",
    [
        "$JS.API.STREAM.PURGE.AT_BUDGET_DAY",
        "$JS.API.STREAM.DELETE.AT_BUDGET_DAY",
        "$JS.API.STREAM.UPDATE.AT_BUDGET_DAY",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.STREAM.MSG.DELETE.AT_BUDGET_DAY",
        "$JS.API.STREAM.NAMES",
        "$JS.API.CONSUMER.CREATE.AT_LEASE_DAY_team-a",
        "$JS.API.STREAM.MSG.GET.AT_LEASE_DAY_team-a",
        "$SYS.REQ.USER.AUTH",
        "$SYS.REQ.SERVER.PING",
    ],
)
async def test_no_one_but_the_auth_callout_makes_changes_or_lists_streams(green, subject):
    with pytest.raises(TimeoutError):
        await green.request(subject, b"{}", timeout=0.3)


@pytest.mark.parametrize("subject", [">", "_INBOX.>", f"{subjects.inbox('team-a', 'red')}.>", "at.bud.>", "$SYS.>"])
async def test_nobody_listens_to_others(url, subject):
    heard = asyncio.Queue()

    async def failed(error):
        heard.put_nowait(str(error))

    client = await nats.connect(url, token="green", error_cb=failed, allow_reconnect=False)
    await client.subscribe(subject)

    async with asyncio.timeout(60):
        assert "permissions violation" in await heard.get()
    await client.close()


@pytest.mark.parametrize("token", ["", "made-up", "dotted"], ids=["none", "unknown", "a name that is a subject"])
async def test_a_connection_that_nobody_vouches_for_is_refused(url, token):
    assert "Authorization Violation" in await refusal(url, token)


async def test_a_token_for_another_audience_is_refused(url, reviews):
    reviews.known["for-the-gate"] = "team-a:green"
    reviews.audiences = ["agenttype.dev/gate"]
    answer = await refusal(url, "for-the-gate")
    reviews.audiences = ["agenttype.dev/nats"]

    assert "Authorization Violation" in answer
    assert "PONG" in await refusal(url, "green")


async def test_many_connections_at_once_are_answered_after_one_review_of_their_token(url, reviews):
    reviews.known["many"], asked = "team-a:green", reviews.asked
    clients = await asyncio.gather(*(connected(url, "many", connect_timeout=60) for _ in range(100)))
    assert reviews.asked == asked + 1
    totals = await asyncio.gather(
        *(added(client, "at.bud.hour.team-a.agent.green.x.cost.hour.1") for client in clients)
    )
    await asyncio.gather(*(client.close() for client in clients))

    assert sorted(int(total["val"]) for total in totals) == list(range(1, 101))


async def test_the_sidecar_s_own_client_may_all_that_it_does(url, tmp_path):
    token = tmp_path / "token"
    token.write_text("green\n")
    client = NatsStore(Nats(url=url), token, Identity(namespace="team-a", name="green", uid="u"))
    account = Account("team-a.budget.team.own.cost.hour", Resource.COST, Window.HOUR, 7, 100)
    client.open()
    async with asyncio.timeout(60):
        while not client.reachable:  # noqa: ASYNC110 — it tells nobody when
            await asyncio.sleep(0.02)
        first = await client.add(account, Addition("one", 30))
        revision = await client.put(account, "pod-1", b"[1]", 0)
        looked, sums = await client.look(account, 0), await client.sums(account)
    await client.close()

    assert (first, sums.counter, looked.sums.counter) == (30, 30, 30)
    assert looked.records == {"pod-1": Entry(b"[1]", revision)}
    assert not client.failures


async def test_a_server_that_is_killed_comes_back_with_its_counters_and_its_auth_callout(store):
    subject = "at.bud.month.team-a.agent.green.kept.cost.month.1"
    client = await connected(store.url, "green")
    await added(client, subject, 41)
    await client.close()

    store.kill_server()
    store.await_ready(ready=False)
    store.start_server()
    store.await_ready()

    client = await connected(store.url, "green")
    total = await added(client, subject)
    await client.close()
    assert total["val"] == "42"
