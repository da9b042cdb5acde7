"""The connection to NATS, on a real server: it comes back, it counts what failed, and it answers."""

import asyncio

import nats.aio.client
import pytest
from agenttype_bus.connection import Connection, ConnectionSettings
from agenttype_bus.counters import Counters
from agenttype_bus.errors import NoResponders, Unavailable, WrongRevision
from agenttype_bus.jetstream import Entry, JetStream
from agenttype_bus.key_value import KeyValue
from agenttype_bus.operation_labels import Operation
from agenttype_bus.streams import Stream
from support.waiting import until_async

ENTRIES = Stream("ENTRIES", {"subjects": ["kv.>"], "max_msgs_per_subject": 1, "allow_direct": True})
COUNTERS = Stream("COUNTERS", {"subjects": ["count.>"], "allow_msg_counter": True, "allow_direct": True})


@pytest.fixture
async def connect():
    opened = []

    def connected(url, *responders):
        connection = Connection(ConnectionSettings(url=url, client="test"))
        for subject, responder in responders:
            connection.respond(subject, responder)
        opened.append(connection)
        connection.open()
        return connection

    yield connected
    await asyncio.gather(*(connection.close() for connection in opened))


async def test_a_killed_server_is_connected_to_again_and_what_failed_meanwhile_is_counted(nats, connect):
    connection = connect(nats.url)
    assert await connection.wait_connected() == 1
    values = KeyValue(JetStream(connection), ENTRIES)
    await values.put("kv.one", b"1", 0)

    nats.kill()
    await until_async(lambda: not connection.is_connected)
    with pytest.raises(Unavailable):
        await values.get("kv.one")
    assert connection.failures[Operation.GET] == 1
    assert not connection.reachable

    nats.start()
    assert await connection.wait_connected(after=1) >= 2
    found = await until_async(lambda: values.get("kv.one"), ignoring=(Unavailable,))
    assert found.value == b"1"
    assert connection.reachable
    assert connection.failures[Operation.CONNECT] >= 1


async def test_a_server_that_starts_late_is_waited_for(nats, connect):
    nats.kill()
    connection = connect(nats.url)
    await until_async(lambda: connection.failures[Operation.CONNECT] >= 1)
    nats.start()
    async with asyncio.timeout(60):
        assert await connection.wait_connected() == 1


async def test_a_failed_write_makes_nats_unreachable_until_a_write_succeeds(nats, connect):
    connection = connect(nats.url)
    await connection.wait_connected()
    values = KeyValue(JetStream(connection), ENTRIES)
    revision = await values.put("kv.one", b"1", 0)

    connection.failed(Operation.ADD, "as a server without most of its cluster")
    await values.get("kv.one")
    assert not connection.reachable
    await values.put("kv.one", b"2", revision)
    assert connection.reachable


async def test_after_close_nothing_is_left_of_a_connection(nats, connect):
    connection = connect(nats.url)
    await connection.wait_connected()
    before = asyncio.all_tasks()
    await connection.close()

    assert not connection.is_connected
    assert asyncio.all_tasks() < before
    with pytest.raises(Unavailable):
        await connection.request(Operation.GET, "any", b"")


async def test_a_subject_without_listeners_is_told_apart_and_no_failure(nats, connect):
    connection = connect(nats.url)
    with pytest.raises(NoResponders):
        await connection.request(Operation.GET, "nobody.listens", b"")
    assert not connection.failures


async def test_requests_are_answered_side_by_side_and_after_a_reconnect_too(nats, connect):
    both, arrived = asyncio.Event(), []

    async def answer(payload):
        arrived.append(payload)
        if len(arrived) == 2:
            both.set()
        await both.wait()
        return None if payload == b"silence" else payload.upper()

    server, client = connect(nats.url, ("ask", answer)), connect(nats.url)
    await asyncio.gather(server.wait_connected(), client.wait_connected())
    first, second = await asyncio.gather(*(client.request(Operation.GET, "ask", word) for word in (b"a", b"b")))
    assert (first.data, second.data) == (b"A", b"B")

    nats.kill()
    nats.start()
    await asyncio.gather(server.wait_connected(after=1), client.wait_connected(after=1))
    again = await until_async(lambda: client.request(Operation.GET, "ask", b"c"), ignoring=(Unavailable,))
    assert again.data == b"C"
    with pytest.raises(Unavailable):
        await client.request(Operation.GET, "ask", b"silence", seconds=0.2)


async def test_an_entry_is_replaced_only_in_the_revision_that_was_read(nats, connect):
    values = KeyValue(JetStream(connect(nats.url)), ENTRIES)
    assert await values.get("kv.one") == Entry()

    revision = await values.put("kv.one", b"1", 0)
    with pytest.raises(WrongRevision):
        await values.put("kv.one", b"2", 0)

    assert await values.get("kv.one") == Entry(b"1", revision)


async def test_the_entries_that_changed_are_found_over_many_pages(nats, connect):
    connection = connect(nats.url)
    values = KeyValue(JetStream(connection), ENTRIES)
    assert await values.get("kv.0") == Entry()
    revisions = {f"kv.{number}": await values.put(f"kv.{number}", b"x", 0) for number in range(520)}

    everything = await values.changed("kv.*", 0)
    assert {key: entry.revision for key, entry in everything.items()} == revisions
    assert await values.changed("kv.*", max(revisions.values())) == {}

    again = await values.put("kv.3", b"y", revisions["kv.3"])
    assert await values.changed("kv.*", max(revisions.values())) == {"kv.3": Entry(b"y", again)}


async def test_an_addition_that_is_repeated_counts_once(nats, connect):
    counters = Counters(JetStream(connect(nats.url)), COUNTERS)
    assert await counters.total("count.one") == 0
    assert await counters.add("count.one", 5, "first") == 5
    assert await counters.add("count.one", 7, "second") == 12
    assert await counters.add("count.one", 5, "first") >= 5
    assert await counters.total("count.one") == 12


async def test_a_stream_that_does_not_count_is_an_error_and_not_a_zero(nats, connect):
    connection = connect(nats.url)
    counters = Counters(JetStream(connection), ENTRIES)
    with pytest.raises(Unavailable):
        await counters.add("kv.one", 5, "first")
    assert connection.failures[Operation.ADD] == 1


async def test_a_stream_is_made_once_and_brought_to_its_settings_later(nats, connect):
    jetstream = JetStream(connect(nats.url))
    for maximum in (1, 3):
        await jetstream.create_or_update(Stream("S", {**ENTRIES.settings, "max_msgs_per_subject": maximum}))
    await jetstream.create(Stream("S", ENTRIES.settings))

    client = await nats_client(nats.url)
    found = await client.jetstream().stream_info("S")
    await client.close()
    assert found.config.max_msgs_per_subject == 3


async def nats_client(url):
    client = nats.aio.client.Client()
    await client.connect(url)
    return client
