"""The seal of a row."""

import sqlite3

import pytest
from agenttype_sidecar.budget import ledger_schema
from agenttype_sidecar.budget.ledger_schema import LedgerTable
from hypothesis import given
from hypothesis import strategies as st

NOTE = LedgerTable("note", "name", ("name", "author"), ("pages", "price"))
NUMBERS = st.integers(-(2**63), 2**63 - 1)
ROWS = st.tuples(st.text(max_size=20), st.text(max_size=20), NUMBERS, NUMBERS)


@pytest.fixture
def db():
    opened = sqlite3.connect(":memory:")
    opened.execute(NOTE.create)
    yield opened
    opened.close()


def test_rows_are_read_as_they_were_written(db):
    db.execute(NOTE.put, NOTE.sealed(("a", "x", 1, -2)))
    db.execute(NOTE.put, NOTE.sealed(("b", "", 2**63 - 1, 0)))
    assert list(NOTE.rows(db)) == [("a", "x", 1, -2), ("b", "", 2**63 - 1, 0)]


def test_a_row_takes_the_place_of_the_one_with_its_key_or_of_another(db):
    db.execute(NOTE.put, NOTE.sealed(("a", "x", 1, 1)))
    db.execute(NOTE.put, NOTE.sealed(("a", "y", 2, 2)))
    db.execute(NOTE.change, (*NOTE.sealed(("b", "y", 3, 3)), "a"))
    assert list(NOTE.rows(db)) == [("b", "y", 3, 3)]
    db.execute(NOTE.drop, ("b",))
    assert list(NOTE.rows(db)) == []


@pytest.mark.parametrize(
    "damage",
    ["name = 'b'", "author = 'xy'", "name = 'ax', author = ''", "pages = 8", "pages = 9, price = 7", "pages = 7.5",
     "pages = 'seven'", "author = 7", "author = x'78'", "seal = seal + 1", "seal = 'x'"],
)  # fmt: skip
def test_a_row_that_was_changed_is_noticed(db, damage):
    db.execute(NOTE.put, NOTE.sealed(("a", "x", 7, 9)))
    db.execute(f"UPDATE note SET {damage}")
    assert [is_whole for _, is_whole in NOTE.judged(db)] == [False]
    with pytest.raises(sqlite3.DatabaseError, match="'note'"):
        list(NOTE.rows(db))


@given(ROWS, ROWS)
def test_two_rows_have_two_seals(one, other):
    assert (NOTE.sealed(one)[-1] == NOTE.sealed(other)[-1]) == (one == other)


def test_what_a_blank_row_is_not_given_is_nothing():
    assert NOTE.blank(name="a") == NOTE.sealed(("a", "", 0, 0))


def test_every_table_of_the_ledger_has_a_name_of_its_own():
    assert len({sheet.name for sheet in ledger_schema.ALL}) == len(ledger_schema.ALL)
