"""Ends running calls when the run's time is used up, or when a new policy allows less than is already spent."""

from typing import Any

from agenttype_api.policy import Limit
from agenttype_api.v1alpha1 import OnExhausted, Resource

from agenttype_sidecar.admission.admission import Admission, AdmissionState
from agenttype_sidecar.admission.cancellation import Cancellation
from agenttype_sidecar.budget.reservation import BudgetLine
from agenttype_sidecar.policy.policies import Active


class OverrunWatch:
    """Checks the limits at each call of `look`; the caller's interval decides how soon an overrun is noticed."""

    def __init__(self, state: AdmissionState, admission: Admission[Any], cancellation: Cancellation) -> None:
        self._state = state
        self._admission = admission
        self._cancellation = cancellation
        self._seen: Active = state.policies.active

    def look(self) -> None:
        """Cut the calls that must not go on."""
        active = self._state.policies.active
        if active is not self._seen:
            self._seen = active
            self._end(active, self._passed(active.limits))
        times = [limit for limit in active.limits if limit.resource is Resource.WALL_CLOCK]
        for line in self._state.limit_status.lines(times):
            if line.room <= 0:
                self._end(active, line)

    def _passed(self, limits: tuple[Limit, ...]) -> BudgetLine | None:
        """Return the first limit of which more is spent than it allows."""
        return next((line for line in self._state.limit_status.lines(limits) if line.spent > line.limit.max), None)

    def _end(self, active: Active, line: BudgetLine | None) -> None:
        if line is None:
            return
        limit = line.limit
        self._cancellation.cut(lambda: self._admission.spent(limit, active))
        if limit.resource is Resource.WALL_CLOCK and active.policy.budget.on_exhausted is OnExhausted.STOP_AGENT:
            self._state.agent_stop.stop(f"the limit {limit.name!r} on {limit.resource} is used up")
