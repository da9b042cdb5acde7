"""A real NATS server whose folder is put back to an older copy, or emptied, under pods that go on."""

import asyncio

import pytest
from agenttype_sidecar.leases.lease_types import Outcome
from agenttype_sidecar.leases.shares import Returns
from support.builders.lease_pods import a_pod, an_account, pods
from support.waiting import until_async

GRANTED = Outcome.GRANTED


def copied(nats):
    """Stop the server for as long as it takes to copy its folder."""
    nats.kill()
    copy = nats.copy()
    nats.start()
    return copy


def goes_back(nats, copy):
    nats.kill()
    nats.restore(copy)
    nats.start()


async def out(pod, account):
    sums = await pod.store.sums(account)
    return sums.counter - Returns.from_json(sums.returns.text).total


async def spends(pod, account, amount):
    """Spend so much, however often the store is found away."""
    while (outcome := await pod.spend(account, amount)) is Outcome.UNAVAILABLE:  # noqa: ASYNC110 — as callers do
        await asyncio.sleep(0.02)
    assert outcome is GRANTED


async def spent_all(many, account):
    """Spend all that is left, everybody at once; return what these pods have spent."""
    await asyncio.gather(*(pod.spend_all(account, 1) for pod in many))
    return sum(pod.used(account) for pod in many)


def knows(pod, account, leased):
    """Whether a pod that makes calls has seen that so much is leased."""
    pod.leases.room(account)
    return pod.leases.view(account).leased >= leased


def setbacks(many):
    return sum(pod.leases.setbacks for pod in many)


@pytest.mark.parametrize("emptied", [False, True], ids=["an older copy", "emptied"])
async def test_what_was_drawn_since_is_not_spent_twice(nats, emptied):
    account = an_account(1_000)
    async with pods(nats.url, 4) as many:
        assert [await pod.spend(account, 50) for pod in many] == [GRANTED] * 4
        copy = copied(nats)
        await asyncio.gather(*(spends(pod, account, 100) for pod in many))
        goes_back(nats, None if emptied else copy)
        await until_async(lambda: setbacks(many) >= 1)
        assert 600 <= await spent_all(many, account) <= 1_000
        drawn = sum(pod.book.drawn[account.key, account.index] for pod in many)
        assert drawn <= min(1_000, await out(many[0], account))


async def test_what_pods_that_are_gone_had_spent_stays_counted(nats):
    account = an_account(1_000)
    async with a_pod(nats.url, "witness") as witness:
        assert await witness.spend(account, 1) is GRANTED
        copy = copied(nats)
        gone = await a_pod(nats.url, "gone").__aenter__()
        await spends(gone, account, 700)
        await gone.die()
        await until_async(lambda: knows(witness, account, 700))
        goes_back(nats, copy)
        await until_async(lambda: witness.leases.setbacks == 1)
        async with a_pod(nats.url, "new") as new:
            assert await spent_all([witness, new], account) <= 300


async def test_a_pod_that_restarts_with_the_store_counts_at_least_its_own(nats):
    account = an_account(1_000)
    pod = await a_pod(nats.url, "one").__aenter__()
    assert await pod.spend(account, 1) is GRANTED
    copy = copied(nats)
    await spends(pod, account, 600)
    await pod.die()
    goes_back(nats, copy)
    async with a_pod(nats.url, "one", pod.book) as again, a_pod(nats.url, "two") as two:
        again.leases.room(account)
        await until_async(lambda: again.leases.setbacks == 1)
        assert await spent_all([again, two], account) <= 1_000


async def test_a_server_that_merely_restarts_went_nowhere(nats):
    account = an_account(1_000)
    async with pods(nats.url, 4) as many:
        assert [await pod.spend(account, 50) for pod in many] == [GRANTED] * 4
        copied(nats)
        assert await spent_all(many, account) == 1_000
        assert setbacks(many) == 0
