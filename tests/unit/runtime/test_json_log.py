import io
import json
import logging
import re

import pytest
from agenttype_runtime import json_log
from agenttype_runtime.json_log import Log

MEMBERS = ["time", "level", "component", "logger", "event", "fields"]


@pytest.fixture
def lines():
    """Return what was logged, read as JSON, and leave the loggers as they were."""
    stream, root, ours = io.StringIO(), logging.getLogger(), logging.getLogger(json_log.ROOT)
    before = root.handlers[:], root.level, ours.level
    json_log.set_up("sidecar", "info", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


def test_an_event_has_the_same_members_in_every_program(lines):
    Log("leases").warning("lease not renewed", account="team-a")
    [line] = lines()
    assert list(line) == MEMBERS
    assert line["component"] == "sidecar"
    assert (line["level"], line["logger"], line["event"]) == ("warning", "leases", "lease not renewed")
    assert line["fields"] == {"account": "team-a"}


def test_the_time_is_rfc_3339_with_its_zone(lines):
    Log("leases").info("done")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines()[0]["time"])


def test_a_field_does_not_hide_a_member(lines):
    Log("leases").info("done", event="other", level="none", time=0)
    [line] = lines()
    assert (line["event"], line["level"]) == ("done", "info")
    assert line["fields"] == {"event": "other", "level": "none", "time": 0}


def test_an_event_below_the_level_is_not_written(lines):
    Log("leases").debug("look")
    assert lines() == []


def test_a_librarys_line_has_the_same_members(lines):
    logging.getLogger("kopf").warning("it %s", "happened")
    [line] = lines()
    assert (line["logger"], line["event"], line["fields"]) == ("kopf", "it happened", {})


def test_a_fault_of_ours_has_its_trace(lines):
    try:
        [].pop()
    except IndexError:
        Log("app").exception("unexpected")
    assert "IndexError: pop" in lines()[0]["trace"]


def test_what_json_cannot_hold_is_written_as_text(lines):
    Log("app").info("done", path=io.BytesIO)
    assert "BytesIO" in lines()[0]["fields"]["path"]
