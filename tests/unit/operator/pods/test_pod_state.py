import pytest
from agenttype_operator.pods import pod_state


def a_pod(*statuses, conditions=(), **metadata):
    return {
        "metadata": {"name": "green-1", "uid": "u", **metadata},
        "status": {"podIP": "10.0.0.1", "conditions": list(conditions), "containerStatuses": list(statuses)},
    }


def a_status(name="agent", *, ready=False, waiting=None, terminated=None, last=None, **members):
    state = {"waiting": waiting} if waiting else {"terminated": terminated} if terminated else {"running": {}}
    status = {"name": name, "image": "x:1", "ready": ready, "state": state, **members}
    return {**status, "lastState": {"terminated": last}} if last else status


@pytest.mark.parametrize(
    ("status", "told"),
    [
        pytest.param(a_status(waiting={"reason": "ErrImagePull", "message": "m"}), "ImagePullBackOff", id="first pull"),
        pytest.param(
            a_status(waiting={"reason": "ImagePullBackOff", "message": "back-off 5s"}),
            "ImagePullBackOff",
            id="next pulls",
        ),
        pytest.param(
            a_status(waiting={"reason": "CrashLoopBackOff"}, last={"exitCode": 3}), "exit code 3", id="back-off"
        ),
        pytest.param(a_status(last={"exitCode": 3}), "exit code 3", id="running again after a crash"),
        pytest.param(a_status(terminated={"exitCode": 3}), "exit code 3", id="just crashed"),
        pytest.param(
            a_status(waiting={"reason": "CreateContainerConfigError", "message": "no secret"}),
            "no secret",
            id="a missing Secret",
        ),
    ],
)
def test_a_failing_container_is_named_with_its_reason(status, told):
    found = pod_state.failure([a_pod(status)])

    assert found.startswith('pod "green-1": container "agent"')
    assert told in found


def test_words_that_count_up_are_left_out():
    first = pod_state.failure(
        [a_pod(a_status(waiting={"reason": "CrashLoopBackOff", "message": "back-off 10s"}, last={"exitCode": 1}))]
    )
    later = pod_state.failure(
        [a_pod(a_status(waiting={"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}, last={"exitCode": 1}))]
    )

    assert first == later


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(a_status(waiting={"reason": "ContainerCreating"}), id="being created"),
        pytest.param(a_status(waiting={"reason": "PodInitializing"}), id="waiting for init"),
        pytest.param(a_status(), id="running, not ready yet"),
        pytest.param(a_status("agenttype-inject", terminated={"exitCode": 0}), id="an init container that ended well"),
        pytest.param(a_status(ready=True, last={"exitCode": 1}), id="recovered"),
    ],
)
def test_what_passes_by_itself_is_no_failure(status):
    assert pod_state.failure([a_pod(status)]) is None


def test_an_unschedulable_pod_is_told():
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}

    assert pod_state.failure([a_pod(conditions=[condition])]) == 'pod "green-1": unschedulable: no GPU'


def test_a_restarted_container_is_another_incarnation():
    first, second = a_pod(a_status(containerID="c1")), a_pod(a_status(containerID="c2"))

    assert pod_state.incarnation(first) != pod_state.incarnation(second)


def test_pods_that_go_do_not_count():
    assert pod_state.living([a_pod(deletionTimestamp="2026-01-01T00:00:00Z")]) == []
