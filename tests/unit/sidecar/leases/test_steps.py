from dataclasses import replace

from agenttype_api.v1alpha1 import Resource, Window
from agenttype_sidecar.leases.lease import Lease, end_lease
from agenttype_sidecar.leases.shares import Account, Addition, Record, Returns
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.servers.model_store import ModelStore, Run

AMOUNTS = st.integers(0, 12)
PODS = st.integers(0, 2)
#: How many requests of a step are answered at once, and what becomes of the one after them.
FATES = st.tuples(
    st.one_of(st.integers(0, 8), st.just(99)), st.sampled_from(["waits", "waits", "unheard", "lost", "dies"])
)
ACCOUNT = Account("team-a.agent.green.day.tokens.day", Resource.TOKENS, Window.DAY, 7, 20)


class Pod:
    """A holder, what it uses, and what its own ledger remembers of what it had drawn."""

    def __init__(self, store, name, names):
        self.store = store
        self.name = name
        self.names = names
        self.used = 0
        self.noted = 0
        self.run = None
        self.start()

    def start(self):
        self.lease = Lease(self.store, ACCOUNT, self.name, self.noted, self.note)

    def note(self, _, drawn):
        self.noted = drawn

    @property
    def is_free(self):
        return self.run is None or self.run.is_over

    async def took(self, amount, to):
        await self.lease.attach(next(self.names))
        await self.lease.lease_more(Addition(next(self.names), amount), to, self.used)

    async def drew(self, to):
        await self.lease.attach(next(self.names))
        await self.lease.draw(to, self.used)

    async def gave(self, drawn, leased):
        await self.lease.attach(next(self.names))
        await self.lease.give(max(self.used, drawn), leased, self.used)

    async def ended(self):
        await self.lease.attach(next(self.names))
        await self.lease.end(self.used)

    async def refreshed(self):
        await self.lease.attach(next(self.names))
        await self.lease.reload_sums()
        await self.lease.refresh(self.used)


def pods(*names):
    """A store and its pods; names of operations and lives come from one row."""
    store, numbers = ModelStore(), (f"name-{number}" for number in range(1000))
    return store, *(Pod(store, name, numbers) for name in names)


def does(step):
    Run(step).finish()


def after(step, answers):
    """A step that has had so many answers and waits for the next."""
    run = Run(step)
    for _ in range(answers):
        run.deliver()
    return run


def out(store):
    """What is counted as leased."""
    return store.counter - Returns.from_json(store._sums().returns.text).total


def test_what_does_not_fit_goes_back_at_once():
    store, one, two = pods("one", "two")
    does(one.took(15, to=15))
    does(two.took(15, to=15))
    assert (one.lease.drawn, two.lease.drawn, out(store)) == (15, 5, 20)


def test_what_comes_back_after_an_addition_makes_no_room_for_it():
    store, one, two, three = pods("one", "two", "three")
    does(one.took(15, to=15))
    does(two.lease.attach("two's life"))
    waiting = after(two.took(15, to=15), answers=2)
    assert store.counter == 30
    does(three.took(10, to=10))
    waiting.finish()
    assert (two.lease.drawn, three.lease.drawn, out(store)) == (5, 0, 20)


def test_an_addition_whose_answer_is_lost_grants_nothing_and_goes_back():
    store, one, two = pods("one", "two")
    does(one.took(5, to=5))
    taking = after(one.took(10, to=15), answers=1)
    taking.deliver_unheard()
    assert store.counter == 15
    does(one.refreshed())
    assert (one.lease.drawn, out(store)) == (5, 5)
    does(two.took(20, to=20))
    assert two.lease.drawn == 15


def test_an_addition_under_way_goes_back_with_the_record_of_a_process_that_died():
    store, one = pods("one")
    does(one.took(5, to=3))
    taking = after(one.took(10, to=15), answers=1)
    taking.die(store)
    does(end_lease(store, ACCOUNT, "one", store.entries["one"].revision))
    assert out(store) == 3
    store.arrive(0)
    assert out(store) == 3


def test_a_holder_that_fell_silent_loses_what_it_had_not_drawn_and_keeps_the_rest():
    store, one = pods("one")
    does(one.took(10, to=4))
    does(end_lease(store, ACCOUNT, "one", store.entries["one"].revision))
    assert (one.lease.drawn, out(store)) == (4, 4)
    assert Run(one.drew(8)).finish() is None
    assert one.lease.drawn == 4
    does(one.took(10, to=8))
    assert (one.lease.drawn, out(store)) == (8, 14)


def test_a_holder_whose_record_was_ended_learns_what_it_had_drawn_and_never_heard_of():
    store, one = pods("one")
    does(one.took(10, to=4))
    after(one.drew(7), answers=0).deliver_unheard()
    does(end_lease(store, ACCOUNT, "one", store.entries["one"].revision))
    assert (one.lease.drawn, out(store)) == (4, 7)
    does(one.drew(7))
    assert (one.lease.drawn, out(store)) == (7, 7)


def test_a_record_that_was_written_since_is_not_ended():
    store, one = pods("one")
    does(one.took(10, to=4))
    seen = store.entries["one"].revision
    does(one.drew(6))
    does(end_lease(store, ACCOUNT, "one", seen))
    assert Record.from_json(store.entries["one"].text).leased == 10


def test_what_was_to_be_drawn_may_be_used_only_once_the_store_has_it():
    store, one = pods("one")
    does(one.took(10, to=4))
    drawing = after(one.drew(8), answers=0)
    assert one.lease.drawn == 4
    drawing.lose(store)
    does(end_lease(store, ACCOUNT, "one", store.entries["one"].revision))
    store.arrive(0)
    assert (one.lease.drawn, out(store)) == (4, 4)


def test_what_is_given_back_may_not_be_used_from_the_moment_it_is_offered():
    _, one = pods("one")
    does(one.took(10, to=8))
    giving = after(one.gave(2, 2), answers=0)
    assert (one.lease.drawn, one.noted) == (2, 2)
    giving.finish()


def test_a_gift_whose_answer_was_lost_is_counted_once():
    store, one = pods("one")
    does(one.took(10, to=8))
    giving = after(one.gave(2, 2), answers=3)
    giving.deliver_unheard()
    assert out(store) == 2
    does(one.refreshed())
    assert out(store) == 2


def test_a_gift_is_not_counted_again_when_its_life_is_over_and_forgotten():
    store, one = pods("one")
    does(one.took(10, to=8))
    giving = after(one.gave(2, 2), answers=1)
    does(end_lease(store, ACCOUNT, "one", store.entries["one"].revision))
    assert out(store) == 2
    giving.finish()
    assert out(store) == 2


def test_a_lower_amount_that_arrives_late_does_not_undo_what_was_drawn_since():
    store, one = pods("one")
    does(one.took(10, to=8))
    giving = after(one.gave(2, 2), answers=0)
    giving.lose(store)
    does(one.lease.attach("a life of its own"))
    assert one.lease.drawn == 8
    store.arrive(0)
    assert Record.from_json(store.entries["one"].text).drawn == 8


def test_a_process_that_begins_again_goes_on_with_its_record():
    store, one = pods("one")
    does(one.took(10, to=8))
    one.start()
    does(one.drew(9))
    assert (one.lease.drawn, out(store)) == (9, 10)


def test_all_that_is_not_used_goes_back_at_the_end():
    store, one = pods("one")
    does(one.took(10, to=8))
    one.used = 3
    does(one.ended())
    assert (one.lease.drawn, out(store), Record.from_json(store.entries["one"].text).over) == (3, 3, True)
    assert Returns.from_json(store.entries["returns"].text).counted == {}


def test_an_end_that_was_cut_off_is_completed_by_whoever_finds_it():
    store, one = pods("one")
    does(one.took(10, to=4))
    revision = store.entries["one"].revision
    after(end_lease(store, ACCOUNT, "one", revision), answers=3).die(store)
    assert out(store) == 10
    does(end_lease(store, ACCOUNT, "one", store.entries["one"].revision))
    store.arrive(0)
    assert out(store) == 4


def test_a_store_that_has_forgotten_all_is_told_what_was_drawn():
    store, one, two = pods("one", "two")
    does(one.took(10, to=8))
    store.forget_all()
    does(one.refreshed())
    does(one.refreshed())
    # What it had leased and not drawn is lost: perhaps somebody had ended its record, and drawn it.
    assert (one.lease.drawn, out(store), one.lease.setbacks) == (8, 10, 1)
    does(two.took(20, to=20))
    assert two.lease.drawn == 10


class Pods(RuleBasedStateMachine):
    """Three pods and a store; every request is delivered, lost or late as it comes, every process may die anywhere."""

    @initialize()
    def begin(self):
        self.names = (f"name-{number}" for number in range(10**6))
        self.store = ModelStore()
        self.pods = [Pod(self.store, f"pod-{number}", self.names) for number in range(3)]
        self.gone = []
        self.reapers = []
        self.most = ACCOUNT.max
        for pod in self.pods:
            Run(pod.took(6, 4)).finish()

    def free(self, which):
        pod = self.pods[which]
        return pod if pod.is_free else None

    def does(self, which, step, fate):
        """Begin a step of a pod, if it is not in the middle of one, and let `fate` come over it."""
        pod = self.pods[which]
        if not pod.is_free:
            return
        pod.run = Run(step(pod))
        self.meet(pod.run, fate)
        if fate[1] == "dies" and not pod.run.is_over:
            self.dies(which, keeps_ledger=True)

    def meet(self, run, fate):
        answers, end = fate
        for _ in range(answers):
            if not run.is_over:
                run.deliver()
        if run.is_over:
            return
        if end == "unheard":
            run.deliver_unheard()
        if end == "lost":
            run.lose(self.store)

    @rule(which=PODS, amount=st.integers(1, 12), to=st.integers(0, 25), fate=FATES)
    def a_pod_leases_more(self, which, amount, to, fate):
        self.does(which, lambda pod: pod.took(amount, to), fate)

    @rule(which=PODS, to=st.integers(0, 25), fate=FATES)
    def a_pod_draws(self, which, to, fate):
        self.does(which, lambda pod: pod.drew(to), fate)

    @rule(which=PODS, drawn=AMOUNTS, leased=AMOUNTS, fate=FATES)
    def a_pod_gives_back(self, which, drawn, leased, fate):
        self.does(which, lambda pod: pod.gave(drawn, leased), fate)

    @rule(which=PODS, fate=FATES)
    def a_pod_gives_all_back(self, which, fate):
        self.does(which, Pod.ended, fate)

    @rule(which=PODS, fate=FATES)
    def a_pod_shows_that_it_lives(self, which, fate):
        self.does(which, Pod.refreshed, fate)

    @rule(which=PODS, amount=st.integers(-6, 12))
    def a_pod_uses(self, which, amount):
        pod = self.pods[which]
        pod.used = max(0, min(pod.lease.drawn, pod.used + amount))

    @rule(which=PODS, maximum=st.sampled_from([5, 12, 20, 25]))
    def the_limit_changes(self, which, maximum):
        pod = self.pods[which]
        pod.lease.account = replace(pod.lease.account, max=maximum)
        self.most = max(self.most, maximum)

    @rule(victim=PODS, fate=FATES)
    def somebody_ends_a_silent_record(self, victim, fate):
        name = self.pods[victim].name
        standing = self.store.entries.get(name)
        if standing is not None and standing.text:
            reaper = Run(end_lease(self.store, ACCOUNT, name, standing.revision))
            self.meet(reaper, fate)
            self.reapers.append(reaper)

    @rule(which=PODS, keeps_ledger=st.sampled_from([True, True, True, False]))
    def a_process_dies(self, which, keeps_ledger):
        self.dies(which, keeps_ledger=keeps_ledger)

    def dies(self, which, *, keeps_ledger):
        pod = self.pods[which]
        if pod.run is not None:
            pod.run.die(self.store)
        pod.run = None
        if keeps_ledger:
            pod.start()
        else:
            self.gone.append(pod)
            self.pods[which] = Pod(self.store, next(self.names), self.names)

    @precondition(lambda self: self.runs())
    @rule(which=st.integers(0, 20), fate=FATES)
    def a_step_goes_on(self, which, fate):
        runs = self.runs()
        self.meet(runs[which % len(runs)], fate)

    def runs(self):
        pods = [pod.run for pod in self.pods if not pod.is_free]
        return pods + [run for run in self.reapers if not run.is_over]

    @precondition(lambda self: self.store.strays)
    @rule(which=st.integers(0, 20))
    def a_request_arrives_late(self, which):
        self.store.arrive(which)

    @rule()
    def repeated_additions_are_not_known_any_more(self):
        self.store.forget_operations()

    def standing(self):
        """The records that are there, by holder."""
        entries = {name: entry for name, entry in self.store.entries.items() if name != "returns" and entry.text}
        records = {name: Record.from_json(entry.text) for name, entry in entries.items()}
        return {name: record for name, record in records.items() if not record.over}

    def everybody(self):
        return [*self.pods, *self.gone]

    def owned(self):
        """What holders have: by their records, and of those without one what they had drawn."""
        records = self.standing()
        without = sum(pod.lease.drawn for pod in self.everybody() if pod.name not in records)
        return without + sum(record.leased for record in records.values())

    @invariant()
    def what_may_be_used_is_within_the_limit(self):
        assert sum(pod.lease.drawn for pod in self.everybody()) <= self.most

    @invariant()
    def what_is_owned_is_within_the_limit(self):
        assert self.owned() <= self.most

    @invariant()
    def what_is_owned_stays_counted_when_all_that_was_given_is_counted(self):
        records = self.standing().values()
        returns = Returns.from_json(self.store._sums().returns.text)
        given = sum(refund.amount for record in records for refund in returns.missing(record))
        takes = [record.pending for record in records if record.ended and record.pending]
        due = sum(take.amount for take in takes if take.operation not in self.store.operations)
        assert self.owned() <= self.store.counter + due - returns.total - given

    @invariant()
    def nobody_may_use_more_than_its_record_says_it_has_drawn(self):
        records = self.standing()
        assert all(pod.lease.drawn <= records[pod.name].drawn for pod in self.everybody() if pod.name in records)

    @invariant()
    def a_pod_uses_what_it_has_drawn(self):
        assert all(pod.used <= pod.lease.drawn for pod in self.pods)


Pods.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestPods = Pods.TestCase
