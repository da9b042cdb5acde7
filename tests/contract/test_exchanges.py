"""No exchange with the engine leaves it to the CPU how long it takes, or how it ends."""

import json
from pathlib import Path

import pytest
from support import bounds
from support.exchanges import A_CALL, ASK, CHAT, SETUPS, TEXT, TOOLS, Exchange
from support.recordings import FOLDER, recorded, taken_with

ALL = [(group, one) for groups, _, _ in SETUPS for group, exchanges in groups.items() for one in exchanges]
GROUPS = sorted(file.stem for file in FOLDER.glob("*.json"))
BODY = {"model": "base", "messages": ASK}
SETTINGS = Path(__file__).resolve().parents[2] / "examples/engine/settings.json"


def named(value):
    return value if isinstance(value, str) else value.name


def is_refused(group, exchange):
    return recorded(group)[exchange.name]["reply"].get("status", 200) >= 400


@pytest.mark.parametrize(("group", "exchange"), ALL, ids=named)
def test_every_exchange_has_a_bound_of_tokens_or_is_refused(group, exchange):
    assert bounds.bound(exchange) is not None or is_refused(group, exchange)


@pytest.mark.parametrize(("group", "exchange"), ALL, ids=named)
def test_the_end_of_every_answer_is_forced(group, exchange):
    assert bounds.end_is_forced(exchange) or is_refused(group, exchange)


@pytest.mark.parametrize(
    ("body", "bound", "forced"),
    [
        (BODY, None, False),
        (BODY | {"max_tokens": None}, None, False),
        (BODY | {"max_tokens": 1.5}, None, False),
        (BODY | {"max_tokens": 101}, None, False),
        (BODY | {"max_tokens": 40}, 40, False),
        (BODY | {"max_tokens": "3"}, 3, True),
        (BODY | {"max_tokens": 9, "max_completion_tokens": 4}, 4, False),
        (BODY | {"max_tokens": 40, "ignore_eos": True}, 40, True),
        (BODY | {"structured_outputs": {"choice": ["one"]}}, 4, True),
        (BODY | {"max_tokens": 40, "tools": TOOLS, "tool_choice": "required"}, 40, False),
    ],
)
def test_a_bound_is_read_from_the_body(body, bound, forced):
    exchange = Exchange("any", CHAT, body)
    assert (bounds.bound(exchange), bounds.end_is_forced(exchange)) == (bound, forced)


def test_a_forced_call_is_as_long_as_it_is_written():
    tool = {"type": "function", "function": {"name": "look_up", "strict": True}}
    exchange = Exchange("any", CHAT, BODY | {"tools": [tool], "tool_choice": "required"})
    assert bounds.bound(exchange) == len(A_CALL) + 1


def test_a_text_without_a_bound_has_that_of_the_protocol():
    assert bounds.bound(Exchange("any", TEXT, {"prompt": "Once"})) == 16


def test_a_body_that_is_no_object_starts_no_answer():
    assert bounds.bound(Exchange("any", CHAT, raw=b'{"model": ')) == 0


@pytest.mark.parametrize("group", GROUPS)
def test_a_recording_says_the_cpu_and_the_dtype_that_it_was_taken_with(group):
    taken = taken_with(group)
    arguments = json.loads(SETTINGS.read_text())["args"]
    assert taken["dtype"] == arguments[arguments.index("--dtype") + 1]
    assert taken["engine"].startswith("vLLM ")
    assert taken["cpu"]["model"]
    assert isinstance(taken["cpu"]["flags"], list)
