from agenttype_sidecar.leases.plan import Draw, GiveBack, LeaseMore, Need, Standing, fitting, next_step
from hypothesis import given
from hypothesis import strategies as st

AMOUNTS = st.integers(0, 1000)
STANDINGS = st.builds(
    lambda used, drawn, leased, free, holders: Standing(used + drawn + leased, used + drawn, used, free, holders),
    AMOUNTS,
    AMOUNTS,
    AMOUNTS,
    st.integers(-500, 1000),
    st.integers(1, 60),
)
DEMANDS = st.builds(Need, st.lists(AMOUNTS, max_size=4).map(tuple), AMOUNTS, AMOUNTS, AMOUNTS, st.booleans())


def at(leased, drawn, used, free, holders=1):
    return Standing(leased, drawn, used, free, holders)


def test_what_is_leased_is_drawn_before_more_is_leased():
    assert next_step(at(100, 10, 10, free=900), Need((50,))) == Draw(60)


def test_only_what_is_missing_is_leased_while_no_pace_is_known():
    assert next_step(at(10, 10, 10, free=990), Need((50,))) == LeaseMore(50, 60)


def test_more_is_leased_ahead_of_need_at_a_known_pace():
    assert next_step(at(10, 10, 10, free=990), Need((50,), ahead=30, stock=100)) == LeaseMore(150, 90)


def test_nobody_leases_ahead_more_than_a_fair_part_of_half_of_what_is_left():
    assert next_step(at(0, 0, 0, free=1000, holders=50), Need((50,), ahead=500, stock=500)) == LeaseMore(60, 60)


def test_the_last_units_are_leased_one_by_one():
    assert next_step(at(0, 0, 0, free=3, holders=50), Need((1,), ahead=500, stock=500)) == LeaseMore(1, 1)


def test_a_small_call_passes_a_large_one_that_does_not_fit():
    assert fitting(10, [20, 5, 6, 5]) == [1, 3]
    assert next_step(at(0, 0, 0, free=10), Need((20, 5))) == LeaseMore(5, 5)


def test_scraps_that_serve_nobody_here_go_back_for_others():
    assert next_step(at(15, 15, 10, free=0), Need((7,))) == GiveBack(10, 10)
    assert next_step(at(10, 10, 10, free=5), Need((7,))) is None


def test_a_top_up_begins_when_half_of_what_comes_is_drawn():
    wanted = Need(ahead=100, stock=300)
    assert next_step(at(500, 150, 100, free=10_000), wanted) is None
    assert next_step(at(500, 149, 100, free=10_000), wanted) == Draw(200)


def test_an_idle_pod_keeps_what_it_uses():
    assert next_step(at(500, 200, 100, free=0), Need(peak=100, is_idle=True)) == GiveBack(100, 100)


def test_a_busy_pod_keeps_what_it_needed_lately():
    assert next_step(at(400, 400, 100, free=10_000), Need(peak=350)) is None
    assert next_step(at(4_000, 400, 100, free=10_000), Need(peak=350)) == GiveBack(350, 350)


def test_a_limit_that_was_lowered_takes_back_what_is_not_used_at_once():
    assert next_step(at(400, 400, 100, free=-50), Need(peak=350, ahead=100, stock=100)) == GiveBack(100, 100)


@given(STANDINGS, DEMANDS)
def test_no_step_takes_what_is_not_free_or_gives_what_is_used(now, wanted):
    match next_step(now, wanted):
        case LeaseMore(amount, to):
            assert 0 < amount <= now.free
            assert to >= now.used
        case Draw(to):
            assert now.drawn < to <= now.leased
        case GiveBack(drawn, leased):
            assert now.used <= drawn <= leased < now.leased
        case None:
            pass


@given(STANDINGS, DEMANDS)
def test_whoever_could_be_served_is_served_or_a_step_nearer(now, wanted):
    served = fitting(now.remaining, wanted.waiting)
    room = now.drawn - now.used
    assert sum(wanted.waiting[place] for place in served) <= room or next_step(now, wanted) is not None
