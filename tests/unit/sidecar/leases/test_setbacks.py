"""A store that goes back to an older copy, or to nothing: what is known of it is counted again, and nothing twice."""

import contextlib

import pytest
from agenttype_api.v1alpha1 import Resource, Window
from agenttype_sidecar.leases.lease import Lease, end_lease
from agenttype_sidecar.leases.shares import RETURNS, Account, Addition, Conflict, Record, Returns
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.servers.model_store import ModelStore, Run

ACCOUNT = Account("team-a.agent.green.day.tokens.day", Resource.TOKENS, Window.DAY, 7, 100)


class Pod:
    """A holder that uses all that it may."""

    def __init__(self, store, name, names):
        self.name = name
        self.names = names
        self.noted = 0
        self.begin(store)

    def begin(self, store):
        """Start its process, with the ledger that is there."""
        self.lease = Lease(store, ACCOUNT, self.name, self.noted, self.note)

    def note(self, _, drawn):
        self.noted = drawn

    def does(self, step):
        """Take a step, and again while others are faster, as a pod's task does."""
        run = Run(self.persists(step))
        run.finish()

    async def persists(self, step):
        while self.lease.record is None:
            with contextlib.suppress(Conflict):
                await self.lease.attach(next(self.names))
        await step(self.lease)

    def takes(self, amount, to):
        self.does(lambda own: own.lease_more(Addition(next(self.names), amount), to, 0))

    def draws(self, to):
        self.does(lambda own: own.draw(to, 0))

    def gives(self, drawn, leased):
        self.does(lambda own: own.give(drawn, leased, 0))

    def comes_back(self):
        """Be connected anew."""
        self.lease.invalidate()
        self.does(lambda own: own.reload_sums())


@pytest.fixture
def store():
    return ModelStore()


@pytest.fixture
def pods(store):
    names = (f"name-{number}" for number in range(10**6))
    return [Pod(store, name, names) for name in ("one", "two", "three")]


def out(store):
    return store.counter - Returns.from_json(store._sums().returns.text).total


def test_what_others_drew_is_counted_again_by_whoever_had_seen_it(store, pods):
    one, two, three = pods
    one.takes(10, to=10)
    kept = store.copy()
    two.takes(40, to=40)
    one.comes_back()
    store.go_back(kept)
    assert out(store) == 10
    one.comes_back()
    assert out(store) == 50
    three.takes(100, to=100)
    assert three.lease.drawn == 50


def test_many_who_find_it_out_count_it_once(store, pods):
    one, two, three = pods
    kept = store.copy()
    one.takes(10, to=10)
    two.takes(40, to=40)
    three.takes(20, to=20)
    store.go_back(kept)
    for pod in pods:
        pod.comes_back()
    assert (out(store), [pod.lease.drawn for pod in pods]) == (70, [10, 40, 20])
    assert sum(pod.lease.setbacks for pod in pods) == 1


def test_what_came_back_since_the_copy_was_made_is_there_again(store, pods):
    one, two, _ = pods
    one.takes(60, to=60)
    kept = store.copy()
    one.gives(10, 10)
    two.takes(5, to=5)
    store.go_back(kept)
    two.comes_back()
    one.comes_back()
    # Two cannot tell whether its 5 are among the 60, so they count once more.
    assert (out(store), one.lease.drawn, two.lease.drawn) == (65, 10, 5)


def test_a_record_from_before_gives_nothing_when_its_holder_is_gone(store, pods):
    one, two, _ = pods
    one.takes(50, to=5)
    kept = store.copy()
    one.draws(50)  # and is gone with all of it
    two.takes(1, to=1)
    store.go_back(kept)
    two.comes_back()
    Run(end_lease(store, ACCOUNT, "one")).finish()
    assert (out(store), Record.from_json(store.entries["one"].text).leased) == (51, 5)


def test_a_store_that_goes_back_twice_is_set_right_twice(store, pods):
    one, two, _ = pods
    kept = store.copy()
    one.takes(10, to=10)
    store.go_back(kept)
    one.comes_back()
    two.takes(20, to=20)
    store.go_back(kept)
    two.comes_back()
    one.comes_back()
    assert out(store) == 30


def test_a_process_that_begins_anew_counts_at_least_its_own(store, pods):
    one, two, _ = pods
    kept = store.copy()
    one.takes(30, to=30)
    store.go_back(kept)
    one.begin(store)
    one.comes_back()
    assert (out(store), one.lease.drawn) == (30, 30)
    two.takes(100, to=100)
    assert two.lease.drawn == 70


def test_a_process_that_dies_while_it_sets_things_right_leaves_it_to_the_next(store, pods):
    one, two, _ = pods
    one.takes(10, to=10)
    two.takes(40, to=40)
    kept = ModelStore().copy()
    store.go_back(kept)
    one.lease.invalidate()
    dying = Run(one.lease.attach("a last life"))
    while Returns.from_json(store.entries.get(RETURNS, store._sums().returns).text).recovery.owed is None:
        dying.deliver()
    dying.die(store)
    store.strays.clear()
    two.comes_back()
    assert out(store) == 50


def test_a_server_that_is_merely_slow_to_tell_changes_nothing(store, pods):
    one, two, _ = pods
    one.takes(10, to=5)
    old = store.copy()
    two.takes(40, to=40)
    one.comes_back()
    one.lease.invalidate()
    store.slow = old
    Run(one.lease.attach("a life")).finish()
    store.slow = None
    one.comes_back()
    assert (out(store), one.lease.leased, one.lease.setbacks) == (50, 10, 0)


class Setbacks(RuleBasedStateMachine):
    """Three pods, and a store that goes back again and again while those who live know what there was."""

    @initialize()
    def begin(self):
        names = (f"name-{number}" for number in range(10**6))
        self.store = ModelStore()
        self.pods = [Pod(self.store, f"pod-{number}", names) for number in range(3)]
        self.gone = []
        self.names = names
        self.kept = [self.store.copy()]

    @rule(which=st.integers(0, 2), amount=st.integers(1, 40), to=st.integers(0, 120))
    def a_pod_leases_more(self, which, amount, to):
        self.pods[which].takes(amount, to)

    @rule(which=st.integers(0, 2), to=st.integers(0, 120))
    def a_pod_draws(self, which, to):
        self.pods[which].draws(to)

    @rule(which=st.integers(0, 2), drawn=st.integers(0, 60), leased=st.integers(0, 60))
    def a_pod_gives_back(self, which, drawn, leased):
        self.pods[which].gives(drawn, leased)

    @rule(which=st.integers(0, 2))
    def a_pod_is_gone_for_good(self, which):
        self.gone.append(self.pods[which])
        self.pods[which] = Pod(self.store, next(self.names), self.names)

    @precondition(lambda self: self.gone)
    @rule(which=st.integers(0, 10))
    def somebody_ends_the_record_of_one_that_is_gone(self, which):
        name = self.gone[which % len(self.gone)].name
        if name in self.store.entries:
            Run(end_lease(self.store, ACCOUNT, name)).finish()

    @rule()
    def a_copy_is_made(self):
        self.kept.append(self.store.copy())

    @rule(which=st.integers(0, 20), order=st.permutations([0, 1, 2]), witness=st.integers(0, 2))
    def the_store_goes_back(self, which, order, witness):
        self.pods[witness].comes_back()
        self.store.go_back(self.kept[which % len(self.kept)])
        for number in order:
            self.pods[number].comes_back()

    @invariant()
    def what_may_be_used_is_within_the_limit(self):
        assert sum(pod.noted for pod in (*self.pods, *self.gone)) <= ACCOUNT.max

    @invariant()
    def what_may_be_used_is_counted(self):
        assert sum(pod.noted for pod in (*self.pods, *self.gone)) <= out(self.store)


Setbacks.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestSetbacks = Setbacks.TestCase
