"""One budget of many sidecar processes: what the engine counted, the books and the store agree, whatever dies."""

import time

import pytest
import store_eyes
from agenttype_api import policy as api
from agenttype_api.v1alpha1 import Resource, Scope, Window
from agenttype_sidecar.leases.terms import Times
from fleets import fleet
from nats_servers import nats_server, wire
from sidecars import a_policy, eventually, sidecar
from simulators import simulator

CHAT = "/v1/chat/completions"


@pytest.fixture
def vllm():
    with simulator() as engine:
        yield engine


@pytest.fixture
def nats():
    with nats_server() as server:
        yield server


def shared(maximum, resource, name):
    return api.Limit(
        name=name,
        resource=resource,
        max=maximum,
        window=Window.FOREVER,
        scope=Scope.AGENT_TYPE,
        account=f"team-a.agent.green.{name}",
    )


def calls(maximum):
    return shared(maximum, Resource.REQUESTS, "calls")


def sharing(url, store, limit):
    return a_policy(url, limits=(limit,), store=api.Store(url=store))


def overspent(cars):
    return sum(member.car.total("agenttype_budget_overspend_total") for member in cars.members if member.car)


def test_three_pods_spend_one_budget_to_its_last_call(vllm, nats, tmp_path):
    limit = calls(200)
    with fleet(tmp_path, lambda _: sharing(vllm.url, nats.url, limit), 3) as cars:
        cars.start_calling()
        cars.finish_calling()
        assert cars.answered == len(vllm.arrived(CHAT)) == 200
        assert overspent(cars) == 0
        cars.end()
    assert sum(member.books() for member in cars.members) == 200
    assert store_eyes.look(nats.url, limit).out == 200


def test_what_is_leased_and_drawn_is_measured(vllm, nats):
    limit = shared(100_000, Resource.TOKENS, "tokens")
    with sidecar(policy=sharing(vllm.url, nats.url, limit)) as car:
        spent = car.chat(max_tokens=2).tokens
        measured = car.metrics()
        assert measured['agenttype_budget_drawn{limit="tokens"}'] >= spent
        assert measured['agenttype_budget_leased{limit="tokens"}'] >= measured['agenttype_budget_drawn{limit="tokens"}']
        assert measured["agenttype_store_reachable"] == 1
        eventually(lambda: car.metrics()['agenttype_budget_leased{limit="tokens"}'] == spent)
        eventually(lambda: car.metrics()['agenttype_lease_returned_total{reason="idle"}'] >= 1)
        nats.kill()
        eventually(lambda: car.metrics()["agenttype_store_reachable"] == 0)
        eventually(lambda: car.metrics()['agenttype_budget_store_errors_total{operation="connect"}'] >= 1)


def test_nothing_is_measured_of_a_store_that_nobody_needs(vllm):
    with sidecar(policy=a_policy(vllm.url)) as car:
        assert not [name for name in car.metrics() if name.startswith(("agenttype_budget_leased", "agenttype_lease_"))]


@pytest.mark.timeout(300)
def test_fifty_pods_spend_one_budget_while_some_are_killed_paused_and_cut_off(vllm, nats, tmp_path):
    limit = calls(5_000)
    with wire(nats.port) as cable:
        urls = (cable.url, nats.url)
        with fleet(tmp_path, lambda number: sharing(vllm.url, urls[number % 2], limit), 50) as cars:
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
            store_eyes.wait_until_ended(nats.url, limit, {member.holder() for member in gone})
            returned_after = time.monotonic() - killed_at
            eventually(lambda: cars.told_to_wait > 0, within=30)
            cable.heal()
            for member in paused:
                cars.resume(member)
            for member in back:
                member.start()
            cars.finish_calling()
            assert overspent(cars) == 0
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
