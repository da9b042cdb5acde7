"""Shared limits on three NATS servers that keep everything thrice, whatever becomes of one or two of them."""

import asyncio
import dataclasses

import pytest
from agenttype_api.v1alpha1 import Window
from agenttype_bus import streams
from agenttype_sidecar.leases.lease_types import Outcome
from agenttype_sidecar.leases.shares import Addition, Returns, StoreUnavailable
from support.builders.lease_pods import a_pod, an_account, pods
from support.programs.nats_clusters import nats_cluster
from support.waiting import until_async

GRANTED, EXHAUSTED, UNAVAILABLE = Outcome.GRANTED, Outcome.EXHAUSTED, Outcome.UNAVAILABLE
COUNTERS = streams.counter_stream(Window.DAY)
ENTRIES = streams.entry_stream(Window.DAY, "team-a")

pytestmark = [
    pytest.mark.timeout(240),
    # NATS' client leaves a connection on which no server has spoken to the collector, which closes it.
    pytest.mark.filterwarnings("ignore:.*(StreamWriter|Transport|socket):pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
async def cluster():
    async with nats_cluster() as servers:
        async with a_pod(servers.url, "first") as pod:
            assert await pod.spend_all(an_account(1, name="first"), 1) == 1
        await servers.until_whole(COUNTERS, ENTRIES)
        yield servers


async def out(store, account):
    """What the store counts as leased."""
    sums = await store.sums(account)
    return sums.counter - Returns.from_json(sums.returns.text).total


class Spenders:
    """Pods that spend one limit, a little at a time, while things happen."""

    def __init__(self, many, account):
        self.many = many
        self.account = account
        self.pause = 0.01
        self.tasks = [asyncio.create_task(self.spend(pod)) for pod in many]

    async def spend(self, pod):
        while await pod.insist(self.account, 1) is not EXHAUSTED:  # noqa: ASYNC110 — the pace of its calls
            await asyncio.sleep(self.pause)

    @property
    def spent(self):
        return sum(pod.used(self.account) for pod in self.many)

    async def more(self, amount):
        """Wait until so much more is spent."""
        goal = self.spent + amount
        assert goal < self.account.max
        await until_async(lambda: self.spent >= goal)

    async def finish(self):
        """Wait until all is spent; then the books and the store say the same."""
        self.pause = 0
        await asyncio.gather(*self.tasks)
        assert self.spent == self.account.max
        assert sum(pod.book.drawn[self.account.key, self.account.index] for pod in self.many) == self.spent
        assert await out(self.many[0].store, self.account) == self.spent


@pytest.mark.parametrize("stream", [COUNTERS, ENTRIES], ids=["counters", "entries"])
async def test_a_leader_that_is_killed_among_draws_loses_nothing(cluster, stream):
    async with pods(cluster.url, 5) as many:
        spenders = Spenders(many, an_account(20_000))
        await spenders.more(500)
        leader = await cluster.leader(stream)
        leader.kill()
        await spenders.more(500)
        leader.start()
        await spenders.finish()


async def test_a_follower_may_come_and_go(cluster):
    async with pods(cluster.url, 5) as many:
        spenders = Spenders(many, an_account(20_000))
        await spenders.more(500)
        follower = (await cluster.followers(COUNTERS))[0]
        follower.kill()
        await spenders.more(500)
        follower.start()
        await spenders.finish()


@pytest.mark.parametrize("stream", [COUNTERS, ENTRIES], ids=["counters", "entries"])
async def test_a_leader_that_is_cut_off_is_replaced_and_its_old_answers_spend_nothing_twice(cluster, stream):
    async with pods(cluster.url, 5) as many:
        spenders = Spenders(many, an_account(20_000))
        await spenders.more(500)
        leader = await cluster.leader(stream)
        leader.pause()
        await spenders.more(500)
        leader.resume()
        await spenders.finish()


async def test_without_two_of_three_what_is_drawn_is_spent_and_then_nothing(cluster):
    account = an_account(1_000)
    async with a_pod(cluster.url, "one") as pod:
        assert await pod.spend(account, 1) is GRANTED
        await pod.leases.request(account, 50)
        away = cluster.servers[:2]
        for server in away:
            server.kill()
        assert await pod.spend(account, 50) is GRANTED
        assert await pod.spend(account, 900) is UNAVAILABLE
        await until_async(lambda: not pod.leases.view(account).reachable)
        # The server that is left answers reads; that must not pass for a store that works.
        await pod.spend(account, 900)
        assert not pod.leases.view(account).reachable
        for server in away:
            server.start()
        await until_async(lambda: pod.leases.view(account).reachable)
        assert await pod.spend_all(account, 1) == 1_000 - 51


async def test_a_server_that_comes_back_empty_is_filled_by_the_others(cluster):
    async with pods(cluster.url, 5) as many:
        spenders = Spenders(many, an_account(20_000))
        await spenders.more(500)
        for server in cluster.servers:
            await cluster.until_whole(COUNTERS, ENTRIES)
            server.kill()
            server.empty()
            await spenders.more(200)
            server.start()
        await spenders.finish()


async def test_a_rolling_restart_under_load_loses_nothing(cluster):
    async with pods(cluster.url, 5) as many:
        spenders = Spenders(many, an_account(20_000))
        await spenders.more(300)
        for server in cluster.servers:
            server.stop()
            server.start()
            await cluster.until_whole(COUNTERS, ENTRIES)
        await spenders.finish()


async def test_no_stream_is_made_with_fewer_copies_because_a_server_is_away(cluster):
    hourly, away = dataclasses.replace(an_account(100), window=Window.HOUR), cluster.servers[2]
    away.kill()
    async with a_pod(cluster.url, "one") as pod:
        assert await pod.spend_all(hourly, 1) == 100
        away.start()
    await cluster.until_whole(streams.counter_stream(Window.HOUR), streams.entry_stream(Window.HOUR, "team-a"))


async def test_an_addition_whose_answer_was_lost_with_the_leader_counts_once(cluster):
    account, take = an_account(100), Addition("the same", 10)
    async with a_pod(cluster.url, "one") as pod:
        await until_async(lambda: pod.store.reachable)
        assert await pod.store.add(account, take) == 10
        await cluster.until_whole(COUNTERS)
        (await cluster.leader(COUNTERS)).kill()
        assert await until_async(lambda: pod.store.add(account, take), ignoring=(StoreUnavailable,)) == 10
        assert (await pod.store.sums(account)).counter == 10
