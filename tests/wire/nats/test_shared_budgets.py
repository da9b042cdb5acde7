"""One budget of many sidecar processes: what the engine counted, the books and the store agree, whatever dies."""

import pytest
from agenttype_api.v1alpha1 import Resource
from support import store_eyes
from support.programs.fleets import a_shared_limit, a_sharing_policy, fleet
from support.programs.sidecars import a_policy, sidecar
from support.programs.simulators import simulator
from support.waiting import until

CHAT = "/v1/chat/completions"


@pytest.fixture
def vllm():
    with simulator() as engine:
        yield engine


def test_three_pods_spend_one_budget_to_its_last_call(vllm, nats, tmp_path):
    limit = a_shared_limit(200)
    with fleet(tmp_path, lambda _: a_sharing_policy(vllm.url, nats.url, limit), 3) as cars:
        cars.start_calling()
        cars.finish_calling()
        assert cars.answered == len(vllm.arrived(CHAT)) == 200
        assert cars.overspent == 0
        cars.end()
    assert sum(member.books() for member in cars.members) == 200
    assert store_eyes.look(nats.url, limit).out == 200


def test_what_is_leased_and_drawn_is_measured(vllm, nats):
    limit = a_shared_limit(100_000, "tokens", Resource.TOKENS)
    with sidecar(policy=a_sharing_policy(vllm.url, nats.url, limit)) as car:
        spent = car.chat(max_tokens=2).tokens
        measured = car.metrics()
        assert measured['agenttype_budget_drawn{limit="tokens"}'] >= spent
        assert measured['agenttype_budget_leased{limit="tokens"}'] >= measured['agenttype_budget_drawn{limit="tokens"}']
        assert measured["agenttype_nats_reachable"] == 1
        until(lambda: car.metrics()['agenttype_budget_leased{limit="tokens"}'] == spent)
        until(lambda: car.metrics()['agenttype_lease_returned_total{reason="idle"}'] >= 1)
        nats.kill()
        until(lambda: car.metrics()["agenttype_nats_reachable"] == 0)
        until(lambda: car.metrics()['agenttype_budget_nats_errors_total{operation="connect"}'] >= 1)


def test_nothing_is_measured_of_a_store_that_nobody_needs(vllm):
    with sidecar(policy=a_policy(vllm.url)) as car:
        assert not [name for name in car.metrics() if name.startswith(("agenttype_budget_leased", "agenttype_lease_"))]
