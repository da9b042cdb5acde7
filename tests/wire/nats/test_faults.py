"""Shared limits under faults of the way to the store, and of the pods: slow, late, cut off, all at once."""

import asyncio
import time

import pytest
from agenttype_sidecar.leases.lease_types import Outcome
from agenttype_sidecar.leases.shares import Returns
from support.builders.lease_pods import a_pod, an_account, pods
from support.programs.nats_servers import wire
from support.waiting import until_async

GRANTED, EXHAUSTED, UNAVAILABLE = Outcome.GRANTED, Outcome.EXHAUSTED, Outcome.UNAVAILABLE


async def out(pod, account):
    sums = await pod.store.sums(account)
    return sums.counter - Returns.from_json(sums.returns.text).total


def drawn(many, account):
    return sum(pod.book.drawn.get((account.key, account.index), 0) for pod in many)


@pytest.mark.timeout(240)
async def test_two_hundred_pods_want_the_last_drops_at_once(nats):
    account = an_account(150)
    async with a_pod(nats.url, "last") as last:
        async with pods(nats.url, 200) as many:
            await asyncio.gather(*(pod.spend(account, 1) for pod in many))
            assert drawn(many, account) <= 150
        spent = sum(pod.used(account) for pod in many)
        assert spent + await last.spend_all(account, 1) == 150


async def test_a_way_that_takes_long_makes_calls_wait_and_spends_nothing_twice(nats):
    account = an_account(2_000)
    with wire(nats.port, delay=0.2) as cable:
        async with a_pod(cable.url, "far") as far, a_pod(nats.url, "near") as near:
            spent = await asyncio.gather(far.spend_all(account, 5), near.spend_all(account, 5))
            assert sum(spent) == 2_000
            assert far.store.failures["add"] == 0


async def test_answers_that_come_too_late_to_be_heard_spend_nothing(nats):
    account = an_account(1_000)
    with wire(nats.port) as cable:
        async with a_pod(cable.url, "far") as far, a_pod(nats.url, "near") as near:
            assert await far.spend(account, 1) is GRANTED
            cable.delay = 0.7
            began = time.monotonic()
            outcome = await far.spend(account, 500)
            assert outcome is UNAVAILABLE
            assert time.monotonic() - began < 30
            cable.delay = 0.0
            await near.spend_all(account, 1)
            await far.spend_all(account, 1)
            await until_async(lambda: near.used(account) + far.used(account) == 1_000)
            assert await out(near, account) == 1_000


async def test_a_window_that_ends_while_a_pod_is_cut_off_is_not_carried_over(nats):
    today, tomorrow = an_account(1_000, index=7), an_account(1_000, index=8)
    with wire(nats.port) as cable:
        async with a_pod(cable.url, "far") as far, a_pod(nats.url, "near") as near:
            assert await far.spend(today, 200) is GRANTED
            cable.cut()
            assert await far.spend(tomorrow, 1) is UNAVAILABLE
            assert await near.spend_all(tomorrow, 5) == 1_000
            cable.heal()
            await until_async(lambda: far.leases.view(tomorrow).reachable)
            assert await far.spend_all(tomorrow, 1) == 0
            await near.spend_all(today, 1)
            assert near.used(today) + far.used(today) <= 1_000


async def test_pods_whose_clocks_disagree_count_in_the_windows_that_they_see(nats):
    today, tomorrow = an_account(100, index=7), an_account(100, index=8)
    async with a_pod(nats.url, "ahead") as ahead, a_pod(nats.url, "behind") as behind:
        assert await ahead.spend_all(tomorrow, 1) == 100
        assert await behind.spend_all(today, 1) == 100
        assert await behind.spend_all(tomorrow, 1) == 0
        assert await ahead.spend_all(today, 1) == 0
