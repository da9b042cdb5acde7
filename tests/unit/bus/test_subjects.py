"""Where an account lies in NATS, and the streams that keep it."""

from fnmatch import fnmatchcase

import pytest
from agenttype_bus import streams, subjects
from agenttype_bus.errors import InvalidName
from agenttype_bus.subjects import AccountSubjects

KEY = subjects.account_key("team-a.agent.green.day", "Tokens", "Day")
ACCOUNT = AccountSubjects(KEY, "Day", 7)


def keeps(stream, subject):
    return any(fnmatchcase(subject, pattern.replace(">", "*")) for pattern in stream.settings["subjects"])


def test_a_limit_that_counts_something_else_is_another_account():
    assert KEY == "team-a.agent.green.day.tokens.day"
    assert subjects.account_key("team-a.agent.green.day", "Cost", "Day") != KEY


def test_an_account_has_a_counter_and_entries_in_each_window():
    assert ACCOUNT.counter == f"at.bud.day.{KEY}.7"
    assert ACCOUNT.entry("returns") == f"at.lease.day.{KEY}.7.returns"
    assert ACCOUNT.namespace == "team-a"


def test_the_streams_of_an_account_keep_its_subjects_and_no_others():
    counters, entries = streams.counters("Day"), streams.entries("Day", ACCOUNT.namespace)

    assert keeps(counters, ACCOUNT.counter)
    assert not keeps(counters, ACCOUNT.entry("x"))
    assert keeps(entries, ACCOUNT.entry("x"))
    assert not keeps(streams.entries("Day", "team-b"), ACCOUNT.entry("x"))
    assert not keeps(streams.entries("Hour", "team-a"), ACCOUNT.entry("x"))


@pytest.mark.parametrize("window", streams.WINDOWS)
def test_a_window_is_kept_longer_than_it_lasts(window):
    lasts = {"minute": 60, "hour": 3600, "day": 86400, "month": 31 * 86400, "forever": 0}[window]
    kept = streams.counters(window).settings["max_age"]

    assert kept == streams.entries(window, "team-a").settings["max_age"]
    assert kept == 0 if window == "forever" else kept > lasts * 10**9


@pytest.mark.parametrize("name", ["green", "a-1", "A"])
def test_a_plain_name_is_one_part_of_a_subject(name):
    assert subjects.check_token(name) == name


@pytest.mark.parametrize("name", ["", "a.b", "*", ">", "a b", "a\n", "ä"])
def test_a_name_that_would_stand_for_more_is_refused(name):
    with pytest.raises(InvalidName):
        subjects.check_token(name)
