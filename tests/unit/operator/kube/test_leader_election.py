"""Leadership, checked by a model: candidates with clocks of their own, one Lease, any order of steps."""

from agenttype_operator.kube.leader_election import DURATION, RENEW_DEADLINE, Election, Record
from hypothesis import given
from hypothesis import strategies as st


def test_a_fresh_candidate_waits_a_whole_duration_for_a_silent_leader():
    election = Election("b")
    election.observe(Record("a", "1"), 100.0)

    assert not election.may_take(100.0 + DURATION - 0.1)
    assert election.may_take(100.0 + DURATION)


def test_a_leader_that_renews_is_waited_for_anew():
    election = Election("b")
    election.observe(Record("a", "1"), 0.0)
    election.observe(Record("a", "2"), 14.0)

    assert not election.may_take(16.0)


def test_a_lease_that_was_given_back_is_taken_at_once():
    election = Election("b")
    election.observe(Record("", "1"), 0.0)

    assert election.may_take(0.0)


def test_a_restarted_process_takes_its_own_lease_at_once():
    election = Election("a")
    election.observe(Record("a", "1"), 0.0)

    assert election.may_take(0.0)


def test_a_leader_that_cannot_renew_stops_before_others_may_begin():
    election = Election("a")
    election.renewed(Record("a", "1"), 0.0)

    assert election.leads(RENEW_DEADLINE - 0.1)
    assert not election.leads(RENEW_DEADLINE)
    assert RENEW_DEADLINE < DURATION


def test_a_leader_that_lost_the_lease_stops_at_once():
    election = Election("a")
    election.renewed(Record("a", "1"), 0.0)
    election.lost()

    assert not election.leads(0.1)


steps = st.lists(
    st.tuples(st.sampled_from(["try", "silent", "restart"]), st.integers(0, 2), st.floats(0.1, 12.0)), max_size=120
)


@given(steps, st.lists(st.floats(-1000, 1000), min_size=3, max_size=3))
def test_there_are_never_two_leaders(actions, offsets):
    """Candidates read and replace one Lease; the server refuses a replacement of what changed since it was read."""
    candidates = [Election(name) for name in "abc"]
    lease, version, now = None, 0, 0.0
    for action, index, pause in actions:
        now += pause
        clock = now + offsets[index]
        candidate = candidates[index]
        if action == "restart":
            candidates[index] = Election(f"{'abc'[index]}{now}")
        if action == "try":
            candidate.observe(lease, clock)
            if candidate.may_take(clock):
                version += 1
                lease = Record(candidate._identity, str(version))
                candidate.renewed(lease, clock)
            else:
                candidate.lost()
        leaders = [
            other._identity for other, offset in zip(candidates, offsets, strict=True) if other.leads(now + offset)
        ]
        assert len(leaders) <= 1
