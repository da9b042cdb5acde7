"""StopAgent: who stands still, for how long, and what ends it."""

import pytest
from agenttype_api.v1alpha1 import AgentType
from agenttype_operator.reconcile import stop_agent
from agenttype_operator.reconcile.stop_agent import Obeyed, Stop, StoppedPodsLeaving
from support.kinds import agent_manifest


def an_agent(generation=1, told_at=None, reason="Stopped"):
    told = {
        "type": "BudgetAvailable",
        "status": "False",
        "reason": reason,
        "message": "as it was told",
        "observedGeneration": told_at,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    manifest = agent_manifest()
    manifest["metadata"] |= {"generation": generation, "uid": "u"}
    return AgentType.model_validate({**manifest, "status": {"conditions": [told] if told_at else []}})


def test_an_agent_runs_while_no_sidecar_asks_otherwise():
    assert stop_agent.decide(an_agent(), {}, None) is None


def test_a_stop_is_told_before_it_is_done():
    found = stop_agent.decide(an_agent(), {"p": 'rule "shell"'}, None)

    assert found == Stop('the agent was stopped: rule "shell"; it stays so until its spec changes', told=False)


def test_a_stop_that_was_told_holds_after_its_pods_are_gone_and_after_a_restart_of_the_operator():
    assert stop_agent.decide(an_agent(3, told_at=3), {}, None) == Stop("as it was told", told=True)


def test_a_stop_that_was_told_does_not_move_with_what_pods_say():
    assert stop_agent.decide(an_agent(3, told_at=3), {"p": "other words"}, None) == Stop("as it was told", told=True)


def test_a_changed_spec_ends_a_stop():
    assert stop_agent.decide(an_agent(4, told_at=3), {}, Obeyed(3, frozenset({"p"}))) is None


def test_a_changed_spec_waits_for_the_pods_that_were_stopped():
    assert stop_agent.decide(an_agent(4, told_at=3), {"p": "why"}, Obeyed(3, frozenset({"p"}))) == StoppedPodsLeaving()


def test_a_pod_that_asks_under_the_new_spec_stops_it_again():
    found = stop_agent.decide(an_agent(4, told_at=3), {"old": "why", "young": "again"}, Obeyed(3, frozenset({"old"})))

    assert found == Stop("the agent was stopped: again; it stays so until its spec changes", told=False)


@pytest.mark.parametrize("reason", ["Exhausted", "WithinLimits"])
def test_no_other_reason_stops_an_agent(reason):
    assert stop_agent.decide(an_agent(3, told_at=3, reason=reason), {}, None) is None


def test_whose_stop_was_obeyed_is_remembered_while_they_are_there():
    first = stop_agent.remember(None, 3, {"a": "why"})
    both = stop_agent.remember(first, 3, {"b": "why"})

    assert both == Obeyed(3, frozenset({"a", "b"}))
    assert stop_agent.remember(both, 3, {}) is None
    assert stop_agent.remember(both, 4, {"c": "why"}) == Obeyed(4, frozenset({"c"}))
