"""Ends what is running when the run's time is over, or when a new policy allows less than is spent already."""

from typing import Any

from agenttype_api.policy import Limit
from agenttype_api.v1alpha1 import OnExhausted, Resource

from agenttype_sidecar.admission.admission import Admission, AdmissionState
from agenttype_sidecar.admission.cancellation import Cancellation
from agenttype_sidecar.budget.reservation import Line
from agenttype_sidecar.policy.policies import Active


class OverrunWatch:
    """Looks, again and again: whoever calls `look` says how soon something is noticed."""

    def __init__(self, state: AdmissionState, admission: Admission[Any], cancellation: Cancellation) -> None:
        self._state = state
        self._admission = admission
        self._cancellation = cancellation
        self._seen: Active = state.policies.active

    def look(self) -> None:
        """Cut what must not go on."""
        active = self._state.policies.active
        if active is not self._seen:
            self._seen = active
            self._end(active, self._passed(active.limits))
        times = [limit for limit in active.limits if limit.resource is Resource.WALL_CLOCK]
        for line in self._state.limit_status.lines(times):
            if line.room <= 0:
                self._end(active, line)

    def _passed(self, limits: tuple[Limit, ...]) -> Line | None:
        """Return the first limit that more is spent of than it allows."""
        return next((line for line in self._state.limit_status.lines(limits) if line.spent > line.limit.max), None)

    def _end(self, active: Active, line: Line | None) -> None:
        if line is None:
            return
        limit = line.limit
        self._cancellation.cut(lambda: self._admission.spent(limit, active))
        if limit.resource is Resource.WALL_CLOCK and active.policy.budget.on_exhausted is OnExhausted.STOP_AGENT:
            self._state.agent_stop.stop(f"the limit {limit.name!r} on {limit.resource} is used up")
