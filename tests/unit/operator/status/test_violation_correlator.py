"""Violations become Events: one per pod, rule and minute, once, whatever restarts."""

import math

import pytest
from agenttype_api.sidecar_report import PolicyReport, Violation
from agenttype_api.v1alpha1 import RuleAction, RuleTarget
from agenttype_operator.status.violation_correlator import OLDEST, ViolationCorrelator

NOW = 1_800_000_000.0  # the start of a minute


def a_pod(uid="p", container="c1"):
    return {
        "metadata": {
            "name": "green-1",
            "namespace": "default",
            "uid": uid,
            "labels": {"agenttype.dev/agent-type": "green"},
        },
        "status": {"podIP": "10.0.0.1", "containerStatuses": [{"name": "s", "containerID": container}]},
    }


def a_violation(sequence=1, at=NOW, rule="no-keys"):
    return Violation(
        sequence=sequence,
        at=at,
        rule=rule,
        applied_to=RuleTarget.TOOL_CALL,
        action=RuleAction.DENY,
        subject="crm/lookup",
    )


def a_report(*violations):
    return PolicyReport(policy_hash="h", sequence=len(violations), violations=violations)


def due(correlator, now):
    return [(key.rule, series.count) for key, series in correlator.due(now)]


def post(correlator, now):
    for _, series in correlator.due(now):
        series.posted = 1


def test_a_violation_is_posted_at_once():
    correlator = ViolationCorrelator()
    correlator.take(a_pod(), a_report(a_violation()), NOW)

    [(key, series)] = correlator.due(NOW)

    assert series.note() == 'rule "no-keys" applied to ToolCall "crm/lookup" of pod "green-1": Deny'
    assert key.name("green").startswith("green.")
    assert correlator.next_due() == 0.0


def test_more_of_them_are_told_when_the_minute_is_over():
    correlator = ViolationCorrelator()
    correlator.take(a_pod(), a_report(a_violation()), NOW)
    post(correlator, NOW)
    correlator.take(a_pod(), a_report(a_violation(), a_violation(2, NOW + 5), a_violation(3, NOW + 9)), NOW + 9)

    assert due(correlator, NOW + 9) == []
    assert correlator.next_due() == NOW + 65
    assert due(correlator, NOW + 65) == [("no-keys", 3)]


def test_a_single_one_is_told_once_and_forgotten_with_its_minute():
    correlator = ViolationCorrelator()
    correlator.take(a_pod(), a_report(a_violation()), NOW)
    post(correlator, NOW)

    assert due(correlator, NOW + 65) == []
    assert (len(correlator), correlator.next_due()) == (0, None)


def test_the_same_report_heard_twice_counts_once():
    correlator = ViolationCorrelator()
    correlator.take(a_pod(), a_report(a_violation()), NOW)
    correlator.take(a_pod(), a_report(a_violation()), NOW)

    assert due(correlator, NOW) == [("no-keys", 1)]


def test_rules_pods_and_minutes_are_told_apart():
    correlator = ViolationCorrelator()
    correlator.take(a_pod(), a_report(a_violation(), a_violation(2, rule="shell"), a_violation(3, NOW + 60)), NOW + 60)
    correlator.take(a_pod("q"), a_report(a_violation()), NOW + 60)

    assert len({key.name("green") for key, _ in correlator.due(NOW + 60)}) == 4


def test_a_sidecar_that_restarts_counts_from_one_again():
    correlator = ViolationCorrelator()
    correlator.take(a_pod(), a_report(a_violation(1), a_violation(2)), NOW)
    correlator.take(a_pod(container="c2"), a_report(a_violation(1, NOW + 30)), NOW + 30)

    assert due(correlator, NOW + 30) == [("no-keys", 3)]


def test_an_operator_that_restarts_gives_the_same_names_and_lets_old_ones_be():
    first, second = ViolationCorrelator(), ViolationCorrelator()
    first.take(a_pod(), a_report(a_violation()), NOW)
    second.take(a_pod(), a_report(a_violation(1, NOW - OLDEST - 61), a_violation(2)), NOW)

    assert [key for key, _ in second.due(NOW)] == [key for key, _ in first.due(NOW)]


@pytest.mark.parametrize("at", [NOW + 86400, 1e300, math.inf, math.nan])
def test_a_clock_that_is_ahead_or_says_nonsense_counts_as_ours(at):
    correlator = ViolationCorrelator()
    correlator.take(a_pod(), a_report(a_violation(at=at)), NOW)
    assert [series.at for _, series in correlator.due(NOW)] == [NOW]
    post(correlator, NOW)

    assert (due(correlator, NOW + 65), len(correlator)) == ([], 0)


def test_the_memory_of_a_pod_ends_with_it():
    correlator = ViolationCorrelator()
    correlator.take(a_pod(), a_report(a_violation()), NOW)
    post(correlator, NOW)
    correlator.forget("p")
    list(correlator.due(NOW + 65))

    assert (correlator._series, correlator._counted) == ({}, {})
