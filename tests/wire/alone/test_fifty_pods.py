"""Fifty sidecars on one machine: while they run, nothing beside them would get its turn in time."""

import time

import pytest
from agenttype_sidecar.leases.lease_types import Times
from support import store_eyes
from support.programs.fleets import a_shared_limit, a_sharing_policy, fleet
from support.programs.nats_servers import wire
from support.programs.simulators import simulator
from support.waiting import until

CHAT = "/v1/chat/completions"


@pytest.fixture
def vllm():
    with simulator() as engine:
        yield engine


@pytest.mark.timeout(300)
def test_fifty_pods_spend_one_budget_while_some_are_killed_paused_and_cut_off(vllm, nats, tmp_path):
    limit = a_shared_limit(5_000)
    with wire(nats.port) as cable:
        urls = (cable.url, nats.url)
        with fleet(tmp_path, lambda number: a_sharing_policy(vllm.url, urls[number % 2], limit), 50) as cars:
            gone, back, paused = cars.members[:5], cars.members[5:10], cars.members[10:13]
            cars.start_calling()
            cars.answered_more_than(1_000)
            killed_at = time.monotonic()
            for member in (*gone, *back):
                member.kill()
            for member in gone:
                member.give_up()
            for member in paused:
                cars.pause(member)
            cable.cut()
            store_eyes.until_ended(nats.url, limit, {member.holder() for member in gone})
            returned_after = time.monotonic() - killed_at
            until(lambda: cars.told_to_wait > 0)
            cable.heal()
            for member in paused:
                cars.resume(member)
            for member in back:
                member.start()
            cars.finish_calling()
            assert cars.overspent == 0
            cars.end()
    arrived = len(vllm.arrived(CHAT))
    books = sum(member.books() for member in cars.members)
    store = store_eyes.look(nats.url, limit)
    lost = sum(store.records[member.holder()].drawn - member.books() for member in gone)
    assert returned_after <= Times().lease
    assert cars.answered <= arrived <= books <= 5_000
    assert books - arrived <= cars.cut_off
    # What came back after the last caller had been refused is still there, and nothing else is.
    assert 4_900 <= books + lost == store.out
