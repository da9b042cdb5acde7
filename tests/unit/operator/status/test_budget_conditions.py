"""BudgetAvailable: what users read about limits and what counts them."""

import pytest
from agenttype_api import compile as compiler
from agenttype_api import policy
from agenttype_api.conditions import Reason
from agenttype_api.schema import ConditionStatus
from agenttype_api.sidecar_report import PolicyReport
from agenttype_api.v1alpha1 import Resource, Scope, Window
from agenttype_operator.status import budget_conditions


def a_pod(name="one"):
    return {"metadata": {"name": name, "uid": name}}


def a_report(**members):
    return PolicyReport(policy_hash="h", **members)


def a_limit(name="run", window=Window.RUN, scope=Scope.POD):
    return policy.Limit(name=name, resource=Resource.TOKENS, max=1, window=window, scope=scope)


def told(reason="Exhausted", status="False"):
    return [
        ConditionStatus(
            type="BudgetAvailable", status=status, reason=reason, message="before", last_transition_time="then"
        )
    ]


def test_a_budget_is_available_while_no_pod_says_otherwise():
    found = budget_conditions.available([(a_pod(), a_report()), (a_pod("two"), a_report())], [a_limit()], [])

    assert (found.status, found.reason) == ("True", Reason.WITHIN_LIMITS)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (a_limit(), 'limit "run" is used up on pod "one": it counts for the life of the pod'),
        (a_limit(window=Window.DAY), "starts again with the next day, in UTC"),
        (a_limit(window=Window.FOREVER), "it never starts again; raise the limit"),
        (
            a_limit(window=Window.HOUR, scope=Scope.AGENT_TYPE),
            'limit "run" is used up: it starts again with the next hour',
        ),
    ],
    ids=["run", "day", "forever", "shared"],
)
def test_a_used_up_limit_is_named_with_what_gives_it_back(limit, words):
    found = budget_conditions.available([(a_pod(), a_report(exhausted=("run",)))], [limit], [])

    assert (found.status, found.reason) == ("False", Reason.EXHAUSTED)
    assert words in found.message


def test_every_window_but_the_minute_has_its_words():
    windows = set(Window) - {Window.MINUTE}
    found = {
        budget_conditions.available([(a_pod(), a_report(exhausted=("run",)))], [a_limit(window=window)], []).message
        for window in windows
    }

    assert len(found) == len(windows)


def test_a_limit_that_is_back_within_a_minute_does_not_make_the_agent_unready():
    report = a_report(exhausted=("burst", "day"))
    burst, day = a_limit("burst", window=Window.MINUTE), a_limit("day", window=Window.DAY)

    assert budget_conditions.available([(a_pod(), a_report(exhausted=("burst",)))], [burst], []).holds
    assert '"day"' in budget_conditions.available([(a_pod(), report)], [burst, day], []).message


def test_a_limit_that_only_an_older_policy_has_is_named_without_them():
    found = budget_conditions.available([(a_pod(), a_report(exhausted=("gone",)))], [a_limit()], [])

    assert found.message == 'limit "gone" is used up on pod "one"'


def test_a_store_that_cannot_be_reached_is_told_with_the_pod():
    found = budget_conditions.available([(a_pod(), a_report(nats_error="connection refused"))], [], [])

    assert (found.status, found.reason) == ("False", Reason.NATS_UNREACHABLE)
    assert 'pod "one" cannot count shared limits: connection refused' in found.message


def test_silence_of_a_pod_leaves_what_was_told():
    found = budget_conditions.available([(a_pod(), a_report()), (a_pod("two"), None)], [], told())

    assert (found.status, found.reason, found.message) == ("False", Reason.EXHAUSTED, "before")


def test_what_was_told_ends_when_all_pods_have_spoken_or_none_runs():
    assert budget_conditions.available([(a_pod(), a_report())], [], told()).holds
    assert budget_conditions.available([], [], told()).holds


def test_a_stop_that_has_ended_is_not_kept_by_silence():
    assert budget_conditions.available([(a_pod(), None)], [], told("Stopped")).holds


@pytest.mark.parametrize("reason", [Reason.BUDGET_NOT_FOUND, Reason.NATS_NOT_CONFIGURED])
def test_a_budget_that_cannot_be_resolved_is_not_available(reason):
    found = budget_conditions.unresolved(compiler.Unresolved(reason, "create it"))

    assert (found.status, found.reason, found.message) == ("False", reason, "create it")


def test_another_reference_that_leads_nowhere_says_nothing_about_the_budget():
    assert budget_conditions.unresolved(compiler.Unresolved(Reason.BACKEND_NOT_FOUND, "x")) is None
    assert budget_conditions.unresolved(None) is None


def test_a_stopped_agent_s_budget_is_not_available():
    found = budget_conditions.stopped("why")

    assert (found.status, found.reason, found.message) == ("False", Reason.STOPPED, "why")


def test_an_agent_that_waits_for_its_stopped_pods_to_go_has_no_known_budget():
    assert budget_conditions.stopped_pods_leaving().status == "Unknown"
