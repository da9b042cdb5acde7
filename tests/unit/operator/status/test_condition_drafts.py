from agenttype_api.conditions import Condition, Reason
from agenttype_operator.status import condition_drafts, events
from agenttype_operator.status.condition_drafts import no, unknown, yes

GOOD = yes(Condition.ACCEPTED, Reason.ACCEPTED, "fine")
BAD = no(Condition.PROGRAMMED, Reason.NAME_CONFLICT, "taken")
OPEN = unknown(Condition.ADAPTER_LOADED, Reason.NOT_PROBED, "no report")


def merged(before, found, now="2026-01-02T00:00:00Z"):
    return condition_drafts.as_conditions(before, found, 3, now)


def test_ready_tells_the_first_that_does_not_hold():
    ready = condition_drafts.with_ready([GOOD, OPEN, BAD])[-1]

    assert (ready.status, ready.message) == ("False", "AdapterLoaded: no report")


def test_ready_holds_when_all_hold():
    assert condition_drafts.with_ready([GOOD])[-1].reason == Reason.READY


def test_a_time_moves_only_when_its_status_does():
    before = merged([], [GOOD, BAD], "2026-01-01T00:00:00Z")
    cured = yes(Condition.PROGRAMMED, Reason.PROGRAMMED, "done")
    after = merged(before, [no(Condition.ACCEPTED, Reason.INVALID, "x"), cured])

    assert [condition["lastTransitionTime"] for condition in after] == ["2026-01-02T00:00:00Z"] * 2
    assert merged(before, [GOOD, BAD]) == before


def test_a_new_reason_alone_moves_no_time():
    before = merged([], [BAD], "2026-01-01T00:00:00Z")
    [after] = merged(before, [no(Condition.PROGRAMMED, Reason.FORBIDDEN, "quota")])

    assert (after["reason"], after["lastTransitionTime"]) == ("Forbidden", "2026-01-01T00:00:00Z")


def test_every_condition_tells_the_generation_it_describes():
    assert [condition["observedGeneration"] for condition in merged([], [GOOD, BAD])] == [3, 3]


def test_an_endless_message_is_cut_to_what_the_schema_takes():
    [told] = merged([], [no(Condition.PROGRAMMED, Reason.FORBIDDEN, "x" * 10_000)])

    assert len(told["message"]) == 4096


def test_a_first_success_is_no_news_and_a_first_failure_is():
    assert condition_drafts.worth_an_event([], [GOOD, BAD]) == [BAD]


def test_waiting_is_no_news():
    assert condition_drafts.worth_an_event([], [no(Condition.AVAILABLE, Reason.PROGRESSING, "0 of 1")]) == []


def test_a_cure_is_news_and_repetition_is_not():
    before = merged([], [BAD])
    cured = yes(Condition.PROGRAMMED, Reason.PROGRAMMED, "done")

    assert condition_drafts.worth_an_event(before, [cured]) == [cured]
    assert condition_drafts.worth_an_event(before, [BAD]) == []


def test_a_note_is_cut_to_what_the_api_server_takes():
    assert events.note("short") == "short"
    assert events.note("ä" * 600) == "ä" * 512
    assert events.note("a" + "ä" * 600) == "a" + "ä" * 511
