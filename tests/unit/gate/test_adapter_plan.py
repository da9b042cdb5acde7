"""What the keeper does next, and that no order of events makes it delete what the engine may still read."""

from agenttype_api.gate_policy import WantedAdapter
from agenttype_gate.adapter_plan import Observed, Plan, plan
from hypothesis import given
from hypothesis import strategies as st

GREEN, RED, BLUE = (
    WantedAdapter(name=name, served_name=f"{name}@{digit * 12}", path=name, digest="sha256:" + digit * 64)
    for name, digit in (("green", "a"), ("red", "b"), ("blue", "c"))
)
ALL = (GREEN, RED, BLUE)


def path(name):
    return "/adapters/" + name.replace("@", "/")


PATHS = {adapter.served_name: path(adapter.served_name) for adapter in ALL}


def seen(live=(), /, **known):
    """What is there; loaded ones are from their right path and have folders, unless said otherwise."""
    names = [adapter.served_name for adapter in live]
    there = {"loaded": {name: path(name) for name in names}, "folders": {name: path(name) for name in names}}
    sets = {key: frozenset() for key in ("proven", "spoiled", "broken", "busy")}
    known = {
        key: value if isinstance(value, dict) else frozenset(adapter.served_name for adapter in value)
        for key, value in known.items()
    }
    return Observed(**there | sets | known)


def planned(wanted, now, capacity=4):
    return plan(wanted, capacity, PATHS, now)


def test_nothing_wanted_and_nothing_there_is_rest():
    assert planned((), seen()) == Plan()
    assert planned((), seen()).at_rest


def test_what_is_wanted_and_absent_is_brought():
    assert planned((GREEN, RED), seen()).bring == (GREEN, RED)


def test_what_is_loaded_and_proven_is_left_alone():
    assert planned((GREEN,), seen((GREEN,), proven=(GREEN,))).at_rest


def test_what_is_loaded_but_unproven_is_proven():
    assert planned((GREEN,), seen((GREEN,))).bring == (GREEN,)


def test_what_is_loaded_from_another_path_is_unloaded_before_it_is_brought():
    elsewhere = seen((GREEN,), loaded={GREEN.served_name: "/elsewhere"}, proven=(GREEN,))
    todo = planned((GREEN,), elsewhere)
    assert (todo.unload, todo.bring, todo.waiting) == ((GREEN.served_name,), (), (GREEN,))


def test_what_is_unwanted_and_idle_is_unloaded_and_its_files_stay_for_now():
    todo = planned((), seen((GREEN,)))
    assert (todo.unload, todo.delete) == ((GREEN.served_name,), ())


def test_what_is_unwanted_and_busy_drains():
    todo = planned((), seen((GREEN,), busy=(GREEN,)))
    assert (todo.unload, todo.draining, todo.delete) == ((), (GREEN.served_name,), ())
    assert not todo.at_rest


def test_files_of_what_is_neither_wanted_nor_loaded_are_deleted():
    assert planned((), seen(folders={GREEN.served_name: path(GREEN.served_name)})).delete == (GREEN.served_name,)


def test_files_that_calls_in_flight_may_need_are_kept():
    folders = {GREEN.served_name: path(GREEN.served_name)}
    assert planned((), seen(folders=folders, busy=(GREEN,))).delete == ()


def test_files_that_are_loaded_under_another_name_are_kept():
    folders = {GREEN.served_name: path(GREEN.served_name)}
    todo = planned((), seen(loaded={"alias": path(GREEN.served_name)}, folders=folders))
    assert (todo.unload, todo.delete) == (("alias",), ())


def test_a_broken_one_is_not_brought_and_takes_nobodys_place():
    todo = planned((GREEN, RED), seen(broken=(GREEN,)), capacity=1)
    assert (todo.bring, todo.surplus) == ((RED,), ())


def test_a_broken_one_that_is_loaded_is_unloaded():
    assert planned((GREEN,), seen((GREEN,), broken=(GREEN,))).unload == (GREEN.served_name,)


def test_a_spoiled_one_is_unloaded_then_deleted_then_brought():
    assert planned((GREEN,), seen((GREEN,), spoiled=(GREEN,))).unload == (GREEN.served_name,)
    folders = {GREEN.served_name: path(GREEN.served_name)}
    todo = planned((GREEN,), seen(folders=folders, spoiled=(GREEN,)))
    assert (todo.delete, todo.bring) == ((GREEN.served_name,), (GREEN,))


def test_more_than_fit_are_surplus_in_the_documents_order():
    todo = planned(ALL, seen(), capacity=2)
    assert (todo.bring, todo.surplus) == ((GREEN, RED), (BLUE,))


def test_what_is_loaded_keeps_its_place_against_what_comes_later_in_time():
    todo = planned(ALL, seen((BLUE,), proven=(BLUE,)), capacity=1)
    assert (todo.bring, todo.surplus, todo.unload) == ((), (GREEN, RED), ())


def test_what_fits_only_once_another_has_left_waits():
    todo = planned((RED,), seen((GREEN,), busy=(GREEN,)), capacity=1)
    assert (todo.bring, todo.waiting, todo.draining) == ((), (RED,), (GREEN.served_name,))


class World:
    """An engine, its volume and a keeper that can be killed after any single step."""

    def __init__(self):
        self.loaded, self.folders = {}, {}

    def turn(self, wanted, capacity, steps):
        todo = plan(wanted, capacity, PATHS, self.seen())
        for act, *what in [*self._steps(todo)][:steps]:
            act(*what)
        return todo

    def seen(self):
        return seen(loaded=dict(self.loaded), folders=dict(self.folders))

    def _steps(self, todo):
        yield from ((self.loaded.pop, name) for name in todo.unload)
        yield from ((self.delete, name) for name in todo.delete)
        for adapter in todo.bring:
            yield self.copy, adapter.served_name
            yield self.load, adapter.served_name

    def delete(self, name):
        assert path(name) not in self.loaded.values()
        del self.folders[name]

    def copy(self, name):
        self.folders[name] = path(name)

    def load(self, name):
        assert name in self.folders
        self.loaded[name] = path(name)


EVENTS = st.lists(
    st.tuples(st.sets(st.sampled_from(ALL)), st.integers(0, 3), st.integers(0, 6), st.booleans()), max_size=12
)


@given(events=EVENTS, last=st.sets(st.sampled_from(ALL)))
def test_whatever_happens_no_loaded_file_is_deleted_and_the_wanted_ones_end_up_loaded(events, last):
    world = World()
    for wanted, capacity, steps, restarts in events:
        world.turn(sorted(wanted, key=str), capacity, steps)
        world.loaded = {} if restarts else world.loaded
    for _ in range(4):
        world.turn(sorted(last, key=str), len(ALL), None)
    names = {adapter.served_name for adapter in last}
    assert world.loaded.keys() == world.folders.keys() == names
