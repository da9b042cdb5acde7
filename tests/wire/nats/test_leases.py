import asyncio
import time

from agenttype_sidecar.leases.lease_types import Outcome
from agenttype_sidecar.leases.shares import Addition
from support.builders.lease_pods import QUICK, a_pod, an_account, pods
from support.ports import free_port
from support.programs.nats_servers import wire
from support.waiting import until_async

GRANTED, EXHAUSTED, UNAVAILABLE = Outcome.GRANTED, Outcome.EXHAUSTED, Outcome.UNAVAILABLE


async def left(pod, account):
    """What nobody has leased or spent, as the store says."""
    sums = await pod.store.sums(account)
    pod.leases._state(account).lease.observe(sums)
    view = pod.leases.view(account)
    return view.limit - view.leased


async def until_left(pod, account, amount):
    async def is_left():
        return await left(pod, account) == amount

    await until_async(is_left, f"{amount} left")


async def test_a_pod_spends_what_it_leases_and_not_more(nats):
    account = an_account(100)
    async with a_pod(nats.url, "one") as pod:
        assert await pod.spend(account, 60) is GRANTED
        request = await pod.ask(account, 41)
        assert (request.outcome, request.remaining, request.leased_elsewhere) == (EXHAUSTED, 40, 0)
        assert await pod.spend(account, 40) is GRANTED
        assert await pod.spend(account, 1) is EXHAUSTED


async def test_what_a_pod_does_not_use_comes_back_to_the_others(nats):
    account = an_account(100)
    async with a_pod(nats.url, "one") as one, a_pod(nats.url, "two") as two:
        assert await one.spend(account, 80) is GRANTED
        one.book.spent.clear()  # the call cost nothing in the end
        await until_left(two, account, 100)
        assert await two.spend(account, 100) is GRANTED
        assert one.leases.returned["idle"] >= 1


async def test_the_hot_path_does_not_wait_once_the_pace_is_known(nats):
    account = an_account(1_000_000)
    async with a_pod(nats.url, "one") as pod:
        await pod.spend(account, 10)
        waits = 0
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            waits += pod.leases.room(account) < 10
            assert await pod.spend(account, 10) is GRANTED
            await asyncio.sleep(0.005)
        assert waits < 15


async def test_ten_pods_that_race_spend_the_whole_limit_and_no_more(nats):
    account = an_account(5_000)
    async with pods(nats.url, 10) as many:
        spent = await asyncio.gather(*(pod.spend_all(account, 7) for pod in many))
    assert 5_000 - 7 < sum(spent) <= 5_000


async def test_the_last_unit_can_be_had_by_whoever_asks_last(nats):
    account = an_account(20)
    async with pods(nats.url, 10) as many:
        assert [await pod.insist(account, 1) for pod in many] == [GRANTED] * 10
        assert [await pod.insist(account, 1) for pod in many] == [GRANTED] * 10
        assert await many[0].insist(account, 1) is EXHAUSTED


async def test_wants_at_once_are_asked_for_together(nats):
    account = an_account(1_000)
    async with a_pod(nats.url, "one") as pod:
        assert await asyncio.gather(*(pod.spend(account, 1) for _ in range(100))) == [GRANTED] * 100
        assert pod.used(account) == 100


async def test_a_pod_that_ends_gives_back_all_that_it_did_not_use(nats):
    account = an_account(100)
    async with a_pod(nats.url, "other") as other:
        async with a_pod(nats.url, "one") as pod:
            assert await pod.spend(account, 90) is GRANTED
            pod.book.spent[account.key, account.index] = 30
        assert await left(other, account) == 70
        assert (pod.leases.returned["shutdown"], pod.book.drawn[account.key, account.index]) == (1, 30)


async def test_what_a_killed_pod_had_leased_comes_back(nats):
    account = an_account(1_000)
    async with a_pod(nats.url, "other") as other:
        victim = a_pod(nats.url, "victim")
        await victim.leases_only(account, leased=300, drawn=100)
        await victim.die()
        assert await left(other, account) == 700
        other.leases.room(account)
        await until_async(lambda: other.leases.returned["silent"] == 1)
        assert await left(other, account) == 900


async def test_a_killed_pod_that_returns_with_its_ledger_gives_back_what_it_did_not_use(nats):
    account = an_account(100)
    victim = await a_pod(nats.url, "victim").__aenter__()
    assert await victim.spend(account, 60) is GRANTED
    victim.book.spent[account.key, account.index] = 10
    drawn = victim.book.drawn[account.key, account.index]
    await victim.die()
    async with a_pod(nats.url, "other") as other, a_pod(nats.url, "victim", victim.book) as again:
        assert again.leases.room(account) == drawn - 10
        await until_left(other, account, 90)


async def test_a_pod_whose_record_was_ended_goes_on_with_what_it_had_drawn(nats):
    account = an_account(1_000)
    async with a_pod(nats.url, "other") as other:
        silent = a_pod(nats.url, "silent")
        await silent.leases_only(account, leased=300, drawn=100)
        other.leases.room(account)
        await until_async(lambda: other.leases.returned["silent"] == 1)
        async with silent:
            assert await silent.spend(account, 100) is GRANTED
            assert await silent.spend(account, 900) is GRANTED
            assert silent.leases.returned["fenced"] == 1
            assert await other.spend(account, 1) is EXHAUSTED


async def test_a_new_window_begins_with_nothing_spent_and_the_old_one_keeps_what_it_has(nats):
    today, tomorrow = an_account(100, index=7), an_account(100, index=8)
    async with a_pod(nats.url, "one") as pod:
        assert await pod.spend(today, 100) is GRANTED
        assert await pod.spend(tomorrow, 100) is GRANTED
        assert await pod.spend(today, 1) is EXHAUSTED
        pod.book.spent[today.key, today.index] = 0
        await asyncio.sleep(3 * QUICK.idle)
        assert await left(pod, today) == 0


async def test_a_clock_that_is_set_back_finds_the_old_window_as_it_was(nats):
    today, tomorrow = an_account(100, index=7), an_account(100, index=8)
    async with a_pod(nats.url, "one") as one, a_pod(nats.url, "two") as two:
        assert await one.spend(today, 100) is GRANTED
        assert await one.spend(tomorrow, 10) is GRANTED
        assert await two.spend(tomorrow, 10) is GRANTED
        assert await two.insist(today, 1) is EXHAUSTED


async def test_a_lowered_limit_grants_nothing_more_and_takes_back_what_is_not_used(nats):
    high, low = an_account(1_000), an_account(100)
    async with a_pod(nats.url, "one") as one, a_pod(nats.url, "two") as two:
        assert await one.spend(high, 300) is GRANTED
        await two.leases.request(high, 200)
        assert two.leases.room(high) >= 200
        await until_async(lambda: one.leases.room(low) == 0)  # what it had drawn ahead goes back first
        assert await one.spend(low, 1) is EXHAUSTED
        two.leases.room(low)
        await until_async(lambda: two.leases.room(low) == 0)
        await until_left(one, low, -200)


async def test_a_raised_limit_goes_on(nats):
    async with a_pod(nats.url, "one") as pod:
        assert await pod.spend(an_account(100), 100) is GRANTED
        assert await pod.spend(an_account(100), 50) is EXHAUSTED
        assert await pod.spend(an_account(150), 50) is GRANTED


async def test_a_store_that_was_never_there_is_unavailable():
    account = an_account(100)
    async with a_pod(f"nats://127.0.0.1:{free_port()}", "one") as pod:
        assert await pod.spend(account, 1) is UNAVAILABLE
        assert not pod.leases.view(account).reachable
        assert pod.store.failures["connect"] >= 1


async def test_what_is_drawn_can_be_spent_while_the_store_is_away(nats):
    account = an_account(1_000)
    async with a_pod(nats.url, "one") as pod:
        await pod.leases.request(account, 50)
        nats.kill()
        assert await pod.spend(account, 50) is GRANTED
        assert await pod.spend(account, 500) is UNAVAILABLE
        nats.start()
        await until_async(lambda: pod.leases.view(account).reachable)
        assert await pod.spend(account, 500) is GRANTED


async def test_a_pod_that_restarts_while_the_store_is_away_spends_what_it_had_drawn(nats):
    account = an_account(1_000)
    pod = await a_pod(nats.url, "one").__aenter__()
    assert await pod.spend(account, 50) is GRANTED
    pod.book.spent[account.key, account.index] = 10
    nats.kill()
    await pod.die()
    again = await a_pod(nats.url, "one", pod.book).__aenter__()
    assert await again.spend(account, pod.book.drawn[account.key, account.index] - 10) is GRANTED
    assert await again.spend(account, 1) is UNAVAILABLE
    await again.die()


async def test_a_killed_server_loses_nothing_that_it_acknowledged(nats):
    account = an_account(3_000)
    async with pods(nats.url, 5) as many:
        spending = asyncio.gather(*(pod.spend_all(account, 1) for pod in many))
        await until_async(lambda: sum(pod.used(account) for pod in many) > 500)
        nats.kill()
        nats.start()
        assert sum(await spending) == 3_000


async def test_a_server_that_is_paused_makes_calls_wait_and_then_go_on(nats):
    account = an_account(1_000)
    async with a_pod(nats.url, "one") as pod:
        assert await pod.spend(account, 1) is GRANTED
        nats.pause()
        began = time.monotonic()
        assert await pod.spend(account, 500) is UNAVAILABLE
        assert time.monotonic() - began < 20
        nats.resume()
        await until_async(lambda: pod.leases.view(account).reachable)
        assert await pod.spend(account, 500) is GRANTED


async def test_a_cut_between_pod_and_store_never_lets_two_spend_the_same(nats):
    account = an_account(1_000)
    with wire(nats.port) as cable:
        async with a_pod(cable.url, "far") as far, a_pod(nats.url, "near") as near:
            assert await far.spend(account, 200) is GRANTED
            cable.cut()
            far_asks = asyncio.create_task(far.spend(account, 700))
            spent = await near.spend_all(account, 1)
            assert await far_asks is UNAVAILABLE
            assert spent == 1_000 - far.book.drawn[account.key, account.index]
            cable.heal()
            await until_async(lambda: far.leases.view(account).reachable)
            assert await far.spend_all(account, 1) == 800 - spent


async def test_an_addition_that_is_repeated_counts_once(nats):
    account = an_account(100)
    async with a_pod(nats.url, "one") as pod:
        assert await pod.store.add(account, Addition("the same", 10)) == 10
        assert await pod.store.add(account, Addition("another", 5)) == 15
        assert await pod.store.add(account, Addition("the same", 10)) == 15
