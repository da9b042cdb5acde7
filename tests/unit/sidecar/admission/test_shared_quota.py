import pytest
from agenttype_api.v1alpha1 import OnLimit
from agenttype_sidecar.admission.shared_quota import SharedQuota
from agenttype_sidecar.budget.amounts import Amounts
from agenttype_sidecar.budget.reservation import BudgetLine, Claim, Denial, Grant, decide
from agenttype_sidecar.errors import NatsUnreachable
from agenttype_sidecar.leases.lease_types import LeaseResult, Outcome
from support.programs.sidecars import a_limit

LIMIT = a_limit(1000).model_copy(update={"account": "team-a.agent.green.run"})
ASK = Claim(100, 100)
CALL = Amounts(100, 100, 1)


class Store:
    """Answers wants as it is told, in order; remembers what was wanted."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.wanted = []

    async def request(self, limit, amount):
        self.wanted.append((limit.name, amount))
        return self.answers.pop(0)


def a_line(drawn, spent=0, held=0):
    return BudgetLine(LIMIT, spent, held, drawn)


def decided(line):
    return decide((line,), ASK, OnLimit.CLAMP)


async def test_a_call_that_fits_into_what_is_drawn_asks_nobody():
    store, line = Store(), a_line(200)
    assert isinstance(decided(line), Grant)
    assert not await SharedQuota(store).more(decided(line), (line,), CALL)


async def test_a_call_that_would_be_shortened_asks_for_all_of_what_it_takes():
    store, line = Store(LeaseResult(Outcome.GRANTED)), a_line(150)
    assert decided(line).clamped
    assert await SharedQuota(store).more(decided(line), (line,), CALL)
    assert store.wanted == [("run", 200)]


async def test_a_call_takes_what_there_is_where_not_all_of_it_is():
    store, line = Store(LeaseResult(Outcome.EXHAUSTED, remaining=130), LeaseResult(Outcome.GRANTED)), a_line(0)
    wants = SharedQuota(store)
    assert await wants.more(decided(line), (line,), CALL)
    assert store.wanted == [("run", 200), ("run", 130)]
    assert not await wants.more(decided(a_line(130)), (a_line(130),), CALL)


async def test_a_call_that_others_overtake_asks_three_times_and_no_more():
    store, line = Store(*[LeaseResult(Outcome.GRANTED)] * 5), a_line(0)
    wants = SharedQuota(store)
    asked = [await wants.more(decided(line), (line,), CALL) for _ in range(5)]
    assert asked == [True, True, True, False, False]


async def test_what_others_lease_and_do_not_use_may_come_back():
    wants = SharedQuota(
        Store(LeaseResult(Outcome.EXHAUSTED, remaining=50, leased_elsewhere=300), LeaseResult(Outcome.GRANTED))
    )
    line = a_line(0)
    await wants.more(decided(line), (line,), CALL)
    assert wants.may_return
    assert wants.optimistic((line,)) == (a_line(350),)


@pytest.mark.parametrize("answer", [None, LeaseResult(Outcome.UNAVAILABLE)])
async def test_a_store_that_is_away_is_the_reason_where_what_is_drawn_does_not_do(answer):
    wants, line = SharedQuota(Store(answer)), a_line(0)
    await wants.more(decided(line), (line,), CALL)
    with pytest.raises(NatsUnreachable):
        wants.check(decided(line))


async def test_a_store_that_is_away_is_no_reason_where_another_limit_denies():
    own = a_limit(10, name="own")
    wants, line = SharedQuota(Store(None)), a_line(0)
    await wants.more(decided(line), (line,), CALL)
    wants.check(Denial(own, 0, never=False))


async def test_a_call_that_never_fits_asks_nobody():
    store, line = Store(), a_line(0)
    denial = decide((line,), Claim(2000, 100), OnLimit.CLAMP)
    assert denial.never
    assert not await SharedQuota(store).more(denial, (line,), Amounts(2000, 100, 1))
    assert store.wanted == []
