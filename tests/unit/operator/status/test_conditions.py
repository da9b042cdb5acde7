import pytest
from agenttype_api.conditions import Reason
from agenttype_api.gate_policy import AdapterReport, AdapterState, GateReport
from agenttype_api.sidecar_report import PolicyReport
from agenttype_api.v1alpha1 import LoraAdapter
from agenttype_operator.status import conditions
from support.kinds import adapter_manifest, an_adapter

SERVED = "green@abababababab"


def a_pod(name="one", *, ready=True):
    return {
        "metadata": {"name": name, "uid": name},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def a_report(state=AdapterState.LOADED, served=SERVED):
    adapters = (AdapterReport(name="green", served_name=served, state=state, message="told"),)
    return GateReport(policy_hash="h", engine_ready=True, adapters=adapters)


def test_a_spec_under_an_outdated_definition_is_not_accepted():
    found = conditions.accepted("apply the chart's crds")

    assert (found.status, found.reason, found.message) == ("False", Reason.CRD_OUTDATED, "apply the chart's crds")
    assert conditions.accepted("").holds


def test_a_spec_that_cannot_be_read_under_an_outdated_definition_tells_both():
    first, *rest = conditions.invalid(conditions.BUDGET, "spec.limits: missing", "apply the chart's crds")

    assert (first.reason, first.message) == (Reason.CRD_OUTDATED, "spec.limits: missing; apply the chart's crds")
    assert rest == []
    [first] = conditions.invalid(conditions.BUDGET, "spec.limits: missing", "")
    assert (first.reason, first.message) == (Reason.INVALID, "spec.limits: missing; correct the spec")


def test_an_adapter_is_loaded_when_every_ready_replica_has_it():
    found = conditions.loaded(an_adapter(), [(a_pod(), a_report()), (a_pod("two"), a_report())])

    assert (found.status, found.reason) == ("True", Reason.LOADED)


@pytest.mark.parametrize(
    ("replicas", "reason"),
    [
        pytest.param([], Reason.NOT_PROBED, id="no replica"),
        pytest.param([(a_pod(), None)], Reason.NOT_PROBED, id="a silent replica"),
        pytest.param([(a_pod(), a_report()), (a_pod("two"), None)], Reason.LOADING, id="one of two is silent"),
        pytest.param([(a_pod(ready=False), a_report())], Reason.LOADING, id="loaded where no one is served yet"),
        pytest.param([(a_pod(), a_report(served="green@0"))], Reason.LOADING, id="another version"),
        pytest.param([(a_pod(), a_report(AdapterState.LOADING))], Reason.LOADING, id="on its way"),
        pytest.param(
            [(a_pod(), a_report()), (a_pod("two"), a_report(AdapterState.REJECTED))],
            Reason.ADAPTER_REJECTED,
            id="refused by one",
        ),
        pytest.param([(a_pod(ready=False), a_report(AdapterState.MISSING))], Reason.ADAPTER_MISSING, id="no files"),
        pytest.param([(a_pod(), a_report(AdapterState.CAPACITY_EXCEEDED))], Reason.CAPACITY_EXCEEDED, id="no room"),
    ],
)
def test_an_adapter_is_not_loaded_otherwise(replicas, reason):
    found = conditions.loaded(an_adapter(), replicas)

    assert not found.holds
    assert found.reason == reason


@pytest.mark.parametrize(
    ("running", "zero", "reason"),
    [
        pytest.param([], True, Reason.PROGRAMMED, id="scaled to zero"),
        pytest.param([], False, Reason.PENDING, id="no pod yet"),
        pytest.param([(a_pod(), None)], False, Reason.PENDING, id="no answer"),
        pytest.param([(a_pod(), PolicyReport(policy_hash="old"))], False, Reason.PENDING, id="the old one"),
        pytest.param(
            [(a_pod(), PolicyReport(policy_hash="old", error="x"))], False, Reason.POLICY_REJECTED, id="refused"
        ),
        pytest.param([(a_pod(), PolicyReport(policy_hash="new"))], False, Reason.PROGRAMMED, id="the new one"),
    ],
)
def test_a_policy_is_programmed_when_all_that_run_have_it(running, zero, reason):
    assert conditions.programmed(running, "new", scaled_to_zero=zero).reason == reason


def a_deployment(**status):
    return {"metadata": {"generation": 2}, "status": {"observedGeneration": 2, **status}}


@pytest.mark.parametrize(
    ("deployment", "replicas", "reason"),
    [
        pytest.param(None, 1, Reason.PROGRESSING, id="not made"),
        pytest.param(a_deployment(), 0, Reason.SCALED_TO_ZERO, id="zero wanted"),
        pytest.param(a_deployment(updatedReplicas=1, availableReplicas=1), 1, Reason.AVAILABLE, id="all there"),
        pytest.param(a_deployment(updatedReplicas=1, availableReplicas=2), 2, Reason.PROGRESSING, id="half are old"),
        pytest.param(
            a_deployment(updatedReplicas=1, availableReplicas=1, observedGeneration=1),
            1,
            Reason.PROGRESSING,
            id="not seen yet",
        ),
        pytest.param(
            a_deployment(conditions=[{"type": "ReplicaFailure", "status": "True", "message": "quota"}]),
            1,
            Reason.FORBIDDEN,
            id="quota",
        ),
    ],
)
def test_availability_counts_the_newest_template_only(deployment, replicas, reason):
    assert conditions.available(deployment, [], replicas).reason == reason


def with_loaded(status, generation=1, observed=1):
    raw = adapter_manifest()
    raw["metadata"]["generation"] = generation
    told = {"type": "Loaded", "status": status, "reason": "Loaded", "message": "m", "observedGeneration": observed}
    raw["status"] = {"conditions": [{**told, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    return LoraAdapter.model_validate(raw)


def test_an_agent_without_adapters_needs_none():
    assert conditions.adapters_loaded([], missing=False).reason == Reason.NO_ADAPTER_NEEDED


def test_an_agent_s_adapters_are_loaded_when_they_say_so():
    assert conditions.adapters_loaded([with_loaded("True")], missing=False).holds


def test_what_an_adapter_said_of_an_older_spec_does_not_count():
    assert conditions.adapters_loaded([with_loaded("True", generation=2)], missing=False).reason == Reason.LOADING


def test_a_missing_adapter_is_told():
    assert conditions.adapters_loaded([], missing=True).reason == Reason.ADAPTER_NOT_FOUND
