"""What pods say about themselves: pure.

Words of the kubelet that count up ("back-off 40s") are left out: a status must not move while nothing happens.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from agenttype_operator.kube.kinds import Raw

#: Waiting reasons that do not pass by themselves; the two of an image pull alternate and are told as one.
_FAILING: Final = {
    "ErrImagePull": "ImagePullBackOff",
    "ImagePullBackOff": "ImagePullBackOff",
    "ErrImageNeverPull": "ErrImageNeverPull",
    "InvalidImageName": "InvalidImageName",
    "CrashLoopBackOff": "CrashLoopBackOff",
    "CreateContainerConfigError": "CreateContainerConfigError",
    "CreateContainerError": "CreateContainerError",
    "RunContainerError": "RunContainerError",
}


def living(pods: Iterable[Raw]) -> list[Raw]:
    """Pods that are neither over nor on their way out."""
    return [
        pod
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp")
        and (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}
    ]


def started(pod: Raw, container: str) -> bool:
    """Whether a container of a pod runs and has passed its startup probe."""
    return any(
        status["name"] == container and status.get("started") and "running" in (status.get("state") or {})
        for status in _statuses(pod)
    )


def ready(pod: Raw) -> bool:
    """Whether a pod is ready."""
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in (pod.get("status") or {}).get("conditions") or ()
    )


def incarnation(pod: Raw) -> str:
    """Name this run of a pod's containers: it changes when any of them is restarted."""
    ids = (status.get("containerID", "") for status in _statuses(pod))
    return " ".join((address(pod), *ids))


def address(pod: Raw) -> str:
    """IP of a pod; empty before it has one."""
    return (pod.get("status") or {}).get("podIP") or ""


def failure(pods: Iterable[Raw]) -> str | None:
    """Why a pod cannot start or keep running: pod, container and reason; None when all is well or under way."""
    for pod in pods:
        if why := _unschedulable(pod) or _failing_container(pod):
            return f'pod "{pod["metadata"]["name"]}": {why}'
    return None


def _unschedulable(pod: Raw) -> str | None:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return f"unschedulable: {condition.get('message', '')}"
    return None


def _failing_container(pod: Raw) -> str | None:
    for status in _statuses(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if reason := _FAILING.get(waiting.get("reason", "")):
            return f'container "{status["name"]}" {_explain(reason, status, waiting)}'
        if not status.get("ready") and _exit_code(status) not in {None, 0}:
            return f'container "{status["name"]}" {_explain("CrashLoopBackOff", status, waiting)}'
    return None


def _explain(reason: str, status: Raw, waiting: Raw) -> str:
    if reason == "ImagePullBackOff":
        return f"cannot start: ImagePullBackOff: image {status.get('image', '')} cannot be pulled"
    if reason == "CrashLoopBackOff":
        return f"keeps crashing: CrashLoopBackOff, exit code {_exit_code(status)}; see its log with kubectl logs -p"
    return f"cannot start: {reason}: {waiting.get('message', '')}"


def _exit_code(status: Raw) -> int | None:
    """Exit code of a container's last run that ended."""
    for state in (status.get("state") or {}, status.get("lastState") or {}):
        if "terminated" in state:
            return int(state["terminated"].get("exitCode", 0))
    return None


def _statuses(pod: Raw) -> Iterator[dict[str, Any]]:
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()
