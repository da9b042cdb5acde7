"""What ends an agent for good, what ends its calls, and what its tool calls are charged."""

from pathlib import Path

import pytest
from agenttype_api import policy as api
from agenttype_api.v1alpha1 import OnExhausted
from agenttype_sidecar.admission.admission import Admission, AdmissionState
from agenttype_sidecar.admission.agent_stop import AgentStop
from agenttype_sidecar.admission.cancellation import Cancellation
from agenttype_sidecar.admission.overrun_watch import OverrunWatch
from agenttype_sidecar.admission.tool_charges import ToolCharges
from agenttype_sidecar.budget.amounts import NOTHING, Amounts
from agenttype_sidecar.budget.ledger import Clock, Ledger
from agenttype_sidecar.budget.limit_status import LimitStatus
from agenttype_sidecar.budget.shared_limits import SharedLimits
from agenttype_sidecar.errors import AgentStopped, BudgetHeld, BudgetSpent
from agenttype_sidecar.policy.policies import Active
from agenttype_sidecar.telemetry.metrics import Metrics
from support.programs.sidecars import a_limit, a_policy


class Car:
    """The parts of a sidecar that hold its budget; `seconds` is its time."""

    def __init__(self, folder, *limits, on_exhausted=OnExhausted.REFUSE, patience=0.01):
        self.on_exhausted = on_exhausted
        self.seconds = 0.0
        self.active = self.policy(*limits)
        self.ledger = Ledger(folder, Clock(lambda: 1_795_248_000 + self.seconds, lambda: self.seconds))
        self.running = Cancellation()
        self.limit_status = LimitStatus(self.ledger, SharedLimits(self.ledger, Path("no-token")))
        self.agent_stop = AgentStop(self.ledger, self, self.running)
        gate = AdmissionState(self.limit_status, self.agent_stop, self)
        self.admission = Admission(gate, None, Metrics(), patience)
        self.overrun_watch = OverrunWatch(gate, self.admission, self.running)
        self.charges = ToolCharges(self.admission)
        self.reasons = []
        self.running.enter(self)

    def policy(self, *limits):
        budget = api.Budget(limits=limits, on_exhausted=self.on_exhausted)
        return Active(a_policy("http://shared.test").model_copy(update={"budget": budget}))

    def cut(self, reason):
        """Stands for a call that is running."""
        self.reasons.append(type(reason))


@pytest.fixture
def car(tmp_path):
    cars = []

    def build(*limits, **options):
        cars.append(Car(tmp_path, *limits, **options))
        return cars[0]

    yield build
    for each in cars:
        each.ledger.close()


async def test_a_stopped_agent_may_do_nothing_until_its_policy_changes(car):
    sidecar = car(a_limit(10))
    sidecar.agent_stop.stop("the rule says so")
    sidecar.agent_stop.stop("a second reason")
    assert (sidecar.agent_stop.reason, sidecar.reasons) == ("the rule says so", [AgentStopped])
    with pytest.raises(AgentStopped, match="the rule says so"):
        await sidecar.charges.admit(1.0)
    sidecar.active = sidecar.policy(a_limit(11))
    assert sidecar.agent_stop.reason == ""
    sidecar.charges.release(await sidecar.charges.admit(1.0))


def test_a_stop_that_cannot_be_recorded_holds_for_this_process(car):
    sidecar = car(a_limit(10))
    sidecar.ledger._db.execute("PRAGMA query_only = 1")
    sidecar.agent_stop.stop("enough")
    assert sidecar.agent_stop.reason == "enough"
    sidecar.ledger._db.execute("PRAGMA query_only = 0")


def test_calls_go_on_under_a_policy_that_allows_what_is_spent(car):
    sidecar = car(a_limit(1000))
    sidecar.ledger.settle(sidecar.ledger.reserve(Amounts(100)), Amounts(100))
    for most in (1000, 500, 100):
        sidecar.active = sidecar.policy(a_limit(most))
        sidecar.overrun_watch.look()
    assert sidecar.reasons == []
    sidecar.active = sidecar.policy(a_limit(99))
    sidecar.overrun_watch.look()
    sidecar.overrun_watch.look()
    assert sidecar.reasons == [BudgetSpent]


def test_calls_end_when_the_time_of_the_run_is_over(car):
    sidecar = car(a_limit(2000, "WallClock", "life"))
    sidecar.seconds = 1.9
    sidecar.overrun_watch.look()
    assert sidecar.reasons == []
    sidecar.seconds = 2.0
    sidecar.overrun_watch.look()
    assert sidecar.reasons == [BudgetSpent]


def test_an_agent_whose_time_is_over_is_stopped_where_policy_says_so(car):
    sidecar = car(a_limit(2000, "WallClock", "life"), on_exhausted=OnExhausted.STOP_AGENT)
    sidecar.seconds = 2.0
    sidecar.overrun_watch.look()
    assert "'life'" in sidecar.agent_stop.reason


async def test_a_tool_call_is_charged_once_with_the_time_it_took(car):
    sidecar = car(a_limit(10_000, "ToolTime"))
    hold = await sidecar.charges.admit(3.0)
    assert (hold.seconds, sidecar.ledger.balances.held) == (3.0, Amounts(tool_calls=1, tool_ms=3000))
    sidecar.charges.settle(hold, 0.25)
    sidecar.charges.settle(hold, 2.0)
    sidecar.charges.release(hold)
    assert (sidecar.ledger.balances.spent, sidecar.ledger.balances.held) == (
        Amounts(tool_calls=1, tool_ms=250),
        NOTHING,
    )


async def test_a_tool_call_of_which_nothing_went_out_costs_nothing(car):
    sidecar = car(a_limit(1, "ToolCalls"))
    sidecar.charges.release(await sidecar.charges.admit(3.0))
    assert (sidecar.ledger.balances.spent, sidecar.ledger.balances.held) == (NOTHING, NOTHING)


async def test_a_tool_gets_no_more_time_than_is_left(car):
    sidecar = car(a_limit(2000, "ToolTime"))
    hold = await sidecar.charges.admit(30.0)
    assert hold.seconds == 2.0
    with pytest.raises(BudgetHeld):
        await sidecar.charges.admit(30.0)
    sidecar.charges.settle(hold, 2.0)
    with pytest.raises(BudgetSpent) as refused:
        await sidecar.charges.admit(30.0)
    assert (refused.value.limit, refused.value.remaining) == ("run", 0)


async def test_a_tool_call_in_flight_is_charged_in_full_after_a_kill(car, tmp_path):
    sidecar = car(a_limit(10_000, "ToolTime"))
    await sidecar.charges.admit(3.0)
    sidecar.ledger._db.close()
    again = Ledger(tmp_path)
    assert again.balances.spent == Amounts(tool_calls=1, tool_ms=3000)
    again.close()


async def test_a_run_that_has_no_tool_calls_left_is_stopped_where_policy_says_so(car):
    sidecar = car(a_limit(1, "ToolCalls", "tools"), on_exhausted=OnExhausted.STOP_AGENT)
    sidecar.charges.settle(await sidecar.charges.admit(1.0), 0.1)
    with pytest.raises(BudgetSpent):
        await sidecar.charges.admit(1.0)
    assert "'tools'" in sidecar.agent_stop.reason


async def test_a_window_that_starts_anew_stops_nobody(car):
    sidecar = car(a_limit(1, "ToolCalls", "tools", "Hour"), on_exhausted=OnExhausted.STOP_AGENT)
    sidecar.charges.settle(await sidecar.charges.admit(1.0), 0.1)
    with pytest.raises(BudgetSpent):
        await sidecar.charges.admit(1.0)
    assert sidecar.agent_stop.reason == ""
    sidecar.seconds = 3600
    sidecar.charges.release(await sidecar.charges.admit(1.0))
