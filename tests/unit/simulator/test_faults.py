"""The script of faults."""

import pytest
from agenttype_simulator.errors import Refusal
from agenttype_simulator.faults import Script


def test_a_fault_lasts_as_often_as_it_was_asked_for():
    script = Script()
    script.add({"path": "/a", "status": 500, "times": 2})
    assert [bool(script.next_for("/a")) for _ in range(3)] == [True, True, False]


def test_a_fault_without_a_number_lasts_until_cleared():
    script = Script()
    script.add({"path": "/a", "hang": True})
    assert all(script.next_for("/a") for _ in range(9))


def test_faults_of_one_path_come_in_order():
    script = Script()
    script.add({"path": "/a", "status": 500, "times": 1})
    script.add({"path": "/a", "status": 429, "times": 1})
    assert [script.next_for("/a").status for _ in range(2)] == [500, 429]


def test_another_path_is_not_disturbed():
    script = Script()
    script.add({"path": "/a", "status": 500})
    assert script.next_for("/b") is None


@pytest.mark.parametrize(
    "wish",
    [
        [],
        {"status": 500},
        {"path": "/a"},
        {"path": "/a", "status": 500, "hang": True},
        {"path": "/a", "statsu": 500},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wish):
    with pytest.raises(Refusal):
        Script().add(wish)
