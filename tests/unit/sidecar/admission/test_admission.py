import asyncio
import json
from pathlib import Path

import pytest
from agenttype_sidecar.admission.admission import Admission, AdmissionState
from agenttype_sidecar.admission.agent_stop import AgentStop
from agenttype_sidecar.admission.cancellation import Cancellation
from agenttype_sidecar.admission.chat_templates import MOST
from agenttype_sidecar.budget.amounts import NOTHING, Amounts
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.limit_status import LimitStatus
from agenttype_sidecar.budget.shared_limits import SharedLimits
from agenttype_sidecar.errors import BudgetHeld, BudgetSpent, NeverFits
from agenttype_sidecar.llm import call as calls
from agenttype_sidecar.llm import paths
from agenttype_sidecar.llm.body import Body
from agenttype_sidecar.policy.policies import Active
from agenttype_sidecar.telemetry.metrics import Metrics
from support.programs.sidecars import a_backend, a_chat, a_limit, a_policy

URL = "http://shared.test"
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.test/a.png"}}]}]


class Engine:
    """Knows the exact size of every prompt, and how often it was asked."""

    def __init__(self, size=None):
        self.size = size
        self.asked = 0

    async def count(self, *_):
        self.asked += 1
        return self.size


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


class InUse:
    """A policy that never changes."""

    def __init__(self, active):
        self.active = active


def admission(ledger, engine=None, max_wait=5.0, active=None):
    policies = InUse(active or under())
    gate = AdmissionState(
        LimitStatus(ledger, SharedLimits(ledger, Path("no-token"))),
        AgentStop(ledger, policies, Cancellation()),
        policies,
    )
    return Admission(gate, engine or Engine(), Metrics(), max_wait)


def a_call(active, text="hello", **body):
    raw = Body(json.dumps(a_chat(text, **body)).encode())
    return calls.read(paths.endpoint("/v1/chat/completions"), raw, active.routes)


def under(*limits, **policy):
    return Active(a_policy(URL, limits=limits, **policy))


def settled(ledger, admission, hold, cost):
    ledger.dispatch(hold)
    ledger.settle(hold, cost)
    admission.waiters.wake()


async def test_a_call_waits_for_what_others_only_hold(ledger):
    active, door = under(a_limit(2500)), admission(ledger)
    first = await door.admit(a_call(active), active)
    second = asyncio.create_task(door.admit(a_call(active), active))
    await asyncio.sleep(0)
    assert not second.done()
    settled(ledger, door, first.hold, Amounts(10, 10, 1))
    assert not (await second).grant.clamped


async def test_a_call_that_others_hold_off_for_too_long_is_told_to_come_back(ledger):
    active, door = under(a_limit(1, "Requests", "calls")), admission(ledger, max_wait=0.01)
    await door.admit(a_call(active), active)
    with pytest.raises(BudgetHeld):
        await door.admit(a_call(active), active)


async def test_a_call_does_not_wait_for_what_is_spent(ledger):
    active, door = under(a_limit(1, "Requests", "calls")), admission(ledger, max_wait=60)
    first = await door.admit(a_call(active), active)
    settled(ledger, door, first.hold, Amounts(1, 1, 1))
    with pytest.raises(BudgetSpent):
        await door.admit(a_call(active), active)


async def test_a_call_that_gives_up_waiting_takes_the_short_answer_that_there_is_room_for(ledger):
    active, door = under(a_limit(2500)), admission(ledger, max_wait=0.01)
    await door.admit(a_call(active), active)
    assert (await door.admit(a_call(active), active)).grant.clamped


async def test_a_caller_that_leaves_while_it_waits_holds_nothing(ledger):
    active, door = under(a_limit(1, "Requests", "calls")), admission(ledger)
    first = await door.admit(a_call(active), active)
    second = asyncio.create_task(door.admit(a_call(active), active))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait({second})
    settled(ledger, door, first.hold, Amounts(requests=1))
    assert (ledger.balances.held, ledger.balances.spent.requests) == (NOTHING, 1)


async def test_a_prompt_is_counted_once_and_only_when_that_can_help(ledger):
    active, engine = under(a_limit(1000)), Engine(size=40)
    door = admission(ledger, engine)
    door.templates.saw(a_call(active), 1, 100)
    assert (await door.admit(a_call(active, "hi", max_tokens=10), active)).hold.amounts.input > 40
    assert engine.asked == 0
    assert (await door.admit(a_call(active, "word " * 300, max_tokens=10), active)).hold.amounts.input == 40
    assert engine.asked == 1


async def test_an_agent_with_nothing_left_does_not_keep_the_engine_busy(ledger):
    active, engine = under(a_limit(1000), a_limit(1, "Requests", "calls")), Engine(size=40)
    door = admission(ledger, engine)
    door.templates.saw(a_call(active), 1, 100)
    first = await door.admit(a_call(active, max_tokens=10), active)
    settled(ledger, door, first.hold, Amounts(40, 10, 1))
    with pytest.raises(BudgetSpent):
        await door.admit(a_call(active, max_tokens=10), active)
    assert engine.asked == 0


async def test_an_engine_that_cannot_count_leaves_the_bound_by_bytes(ledger):
    active, door = under(a_limit(1000)), admission(ledger, Engine(size=None))
    with pytest.raises(NeverFits):
        await door.admit(a_call(active, "word " * 300, max_tokens=10), active)


async def test_a_prompt_that_nothing_bounds_is_refused_only_where_tokens_are_limited(ledger):
    outside = (a_backend(URL, max_model_len=None),)
    free, limited = under(backends=outside), under(a_limit(1000), backends=outside)
    door = admission(ledger)
    assert (await door.admit(a_call(free, messages=IMAGE), free)).grant.output is None
    with pytest.raises(NeverFits):
        await door.admit(a_call(limited, messages=IMAGE), limited)


def test_what_a_template_was_seen_to_add_is_held_from_then_on(ledger):
    active = under(a_limit(100_000))
    gate = admission(ledger)
    call = a_call(active, max_tokens=5)
    before = asyncio.run(gate.admit(call, active)).hold.amounts.input
    gate.templates.saw(call, before + 500, before)
    gate.templates.saw(call, before + 20, before + 500)
    assert asyncio.run(gate.admit(call, active)).hold.amounts.input == before + 500
    with_tools = a_call(active, max_tokens=5, tools=[{"type": "function"}])
    assert asyncio.run(gate.admit(with_tools, active)).hold.amounts.input < before + 500


def test_a_template_that_would_say_more_than_any_does_is_not_believed(ledger):
    active = under(a_limit(100_000))
    gate = admission(ledger)
    call = a_call(active, max_tokens=5)
    gate.templates.saw(call, 10**12, 100)
    assert gate.templates.adds(call) == MOST


async def test_a_template_that_nobody_has_seen_is_counted_where_it_could_pass_a_limit(ledger):
    active, engine = under(a_limit(2000)), Engine(size=700)
    door = admission(ledger, engine)
    assert (await door.admit(a_call(active, max_tokens=10), active)).hold.amounts.input == 700
    assert engine.asked == 1
    assert (await door.admit(a_call(active, max_tokens=10), active)).hold.amounts.input >= 700
    assert engine.asked == 1


async def test_a_template_that_nobody_has_seen_is_not_counted_far_from_every_limit(ledger):
    active, engine = under(a_limit(100_000)), Engine(size=700)
    await admission(ledger, engine).admit(a_call(active, max_tokens=10), active)
    assert engine.asked == 0
