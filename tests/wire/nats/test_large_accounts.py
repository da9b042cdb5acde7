"""One limit of thousands of pods: what a look costs follows what changed, not what is at rest."""

import asyncio

from agenttype_sidecar.leases.lease_types import Outcome
from agenttype_sidecar.leases.shares import RETURNS, Addition, Record, Returns
from support.builders.lease_pods import a_pod, an_account
from support.waiting import until_async

HOLDERS = 3_000


async def crowd(store, account):
    """Thousands at rest, each with one unit that it has drawn, and known to have given something back."""
    await store.add(account, Addition("all of them", 2 * HOLDERS))
    for first in range(0, HOLDERS, 100):
        records = [
            (f"pod-{name}", Record(f"a-life-of-{name:06}", 1, 1).to_json()) for name in range(first, first + 100)
        ]
        await asyncio.gather(*(store.put(account, *record, 0) for record in records))
    lives = {f"a-life-of-{name:06}": 1 for name in range(HOLDERS)}
    await store.put(account, RETURNS, Returns(HOLDERS, lives).to_json(), 0)


def found_while_asking(pod, account):
    """Whether a pod that makes calls has ended a silent record."""
    pod.leases.room(account)
    return pod.leases.returned["silent"] == 1


async def test_all_holders_are_seen_and_then_only_those_that_changed(nats):
    account = an_account(100_000)
    async with a_pod(nats.url, "one") as pod:
        await crowd(pod.store, account)
        look = await pod.store.look(account, 0)
        assert (len(look.records), look.sums.counter) == (HOLDERS, 2 * HOLDERS)
        assert (await pod.store.look(account, look.revision)).records == {}
        seen = look.records["pod-7"]
        await pod.store.put(account, "pod-7", Record("another", 3, 3).to_json(), seen.revision)
        assert set((await pod.store.look(account, look.revision)).records) == {"pod-7"}


async def test_a_silent_holder_is_found_among_thousands_that_rest(nats):
    account = an_account(HOLDERS + 300)
    async with a_pod(nats.url, "one") as pod:
        await crowd(pod.store, account)
        silent = a_pod(nats.url, "silent")
        await silent.leases_only(account, leased=300, drawn=100)
        assert await pod.spend(account, 200) is Outcome.EXHAUSTED
        await until_async(lambda: found_while_asking(pod, account))
        assert await pod.spend(account, 200) is Outcome.GRANTED
        assert await pod.spend(account, 1) is Outcome.EXHAUSTED
        await silent.store.close()
