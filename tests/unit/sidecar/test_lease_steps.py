import pytest
from agenttype_api.v1alpha1 import Resource, Window
from agenttype_sidecar.budget import shares
from agenttype_sidecar.budget.lease import Lease, dissolve
from agenttype_sidecar.budget.shares import Account, Gift, Record, Returns, Take
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from model_store import ModelStore, Run

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
        await self.lease.take(Take(next(self.names), amount), to, self.used)

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
        await self.lease.see()
        await self.lease.refresh(self.used)


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
        pod.lease.account = pod.lease.account._replace(max=maximum)
        self.most = max(self.most, maximum)

    @rule(victim=PODS, fate=FATES)
    def somebody_ends_a_silent_record(self, victim, fate):
        name = self.pods[victim].name
        standing = self.store.entries.get(name)
        if standing is not None and standing.text:
            reaper = Run(dissolve(self.store, ACCOUNT, name, standing.revision))
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
        return {name: Record.from_json(entry.text) for name, entry in entries.items()}

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
        given = sum(gift.amount for record in records for gift in returns.missing(record))
        takes = [record.take for record in records if record.ended and record.take]
        due = sum(take.amount for take in takes if take.operation not in self.store.operations)
        assert self.owned() <= self.store.counter + due - returns.total - given

    @invariant()
    def nobody_may_use_more_than_its_record_says_it_has_drawn(self):
        records = self.standing()
        assert all(pod.lease.drawn <= records[pod.name].drawn for pod in self.everybody() if pod.name in records)

    @invariant()
    def a_pod_uses_what_it_has_drawn(self):
        assert all(pod.used <= pod.lease.drawn for pod in self.pods)


Pods.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestPods = Pods.TestCase
