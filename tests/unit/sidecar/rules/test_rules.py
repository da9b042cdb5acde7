import json
from itertools import pairwise

import orjson
import pytest
import re2
from agenttype_api.policy import Rule
from agenttype_api.v1alpha1 import RuleAction, RuleTarget
from agenttype_proxy.sse import EventReader
from agenttype_sidecar.errors import PolicyError
from agenttype_sidecar.rules import message_texts
from agenttype_sidecar.rules.rulebook import Message, Rulebook
from agenttype_sidecar.rules.windows import WINDOW
from hypothesis import given
from hypothesis import strategies as st

KEY = "AKIA[0-9A-Z]{16}"
A_KEY = "AKIA0123456789ABCDEF"


def a_rule(name="a-rule", on=("LLMRequest",), action="Deny", **says):
    return Rule(name=name, applies_to=tuple(map(RuleTarget, on)), action=RuleAction(action), **says)


def a_message(*several, names=("gpt-4o",), size=100, on="LLMRequest"):
    return Message(RuleTarget(on), names, size, lambda: several)


def applied(rules, message, now=0.0):
    return [rule.name for rule in Rulebook(rules).check(message, now).rules]


def stream(rules, *data, names=("gpt-4o",)):
    """Return the position of each rule's event."""
    watcher = Rulebook(rules).watch(Message(RuleTarget.LLM_RESPONSE, names), 0.0)
    reader = EventReader()
    events = [event for each in data for event in reader.feed(b"data: " + _written(each) + b"\n\n")]
    return [(at, rule.name) for at, event in enumerate(events) for rule in watcher.passed(event).rules]


def _written(event):
    return event if isinstance(event, bytes) else orjson.dumps(event)


def a_chunk(text, index=0):
    return {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": index, "delta": {"content": text}}]}


def arguments(text, index=0):
    call = {"index": index, "function": {"arguments": text}}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}


def on_answers(matches, **says):
    return a_rule(on=("LLMResponse",), matches=matches, **says)


@pytest.mark.parametrize(
    ("says", "holds"),
    [
        ({"matches": KEY}, True),
        ({"matches": "BKIA"}, False),
        ({"matches": "^AKIA"}, False),
        ({"matches": "(?i)KEY IS akia"}, True),
        ({"model": "gpt-*"}, True),
        ({"model": "claude*"}, False),
        ({"more_than_bytes": 99}, True),
        ({"more_than_bytes": 100}, False),
        ({"matches": KEY, "model": "gpt-4o", "more_than_bytes": 10}, True),
        ({"matches": KEY, "model": "gpt-4o", "more_than_bytes": 1000}, False),
        ({"matches": KEY, "on": ("LLMResponse",)}, False),
        ({"matches": KEY, "on": ("LLMResponse", "LLMRequest")}, True),
    ],
)
def test_a_rule_applies_when_everything_that_it_says_holds(says, holds):
    assert bool(applied([a_rule(**says)], a_message(f"my key is {A_KEY}"))) is holds


@pytest.mark.parametrize("name", ["shell_run", "crm/shell_run"])
def test_a_tool_is_named_with_or_without_its_server(name):
    rule = a_rule(on=("ToolCall",), tool=name)
    assert applied([rule], a_message(names=("shell_run", "crm/shell_run"), on="ToolCall"))
    assert not applied([rule], a_message(names=("shell", "crm/shell"), on="ToolCall"))


def test_all_rules_that_apply_are_noted_and_the_strictest_decides():
    rules = [
        a_rule("warn", action="Warn", matches="a"),
        a_rule("stop", action="StopAgent", matches="b"),
        a_rule("deny", action="Deny", matches="c"),
        a_rule("other", action="StopAgent", matches="d"),
    ]
    verdict = Rulebook(rules).check(a_message("abc"), 0)
    assert [rule.name for rule in verdict.rules] == ["warn", "stop", "deny"]
    assert (verdict.decisive.name, verdict.denies, verdict.stops) == ("stop", True, True)


@pytest.mark.parametrize(
    "patterns",
    [
        ["a", "b", "c"],
        ["(?i)A", "B", "C"],
        [r"\Qa", "b|x", r"\Qc\E"],
        ["^a", "b$", ""],
        ["(?s)a.*", "[b]", ".{900}x|c"],
    ],
)
@pytest.mark.parametrize("text", ["a", "b", "c", "B", "ab", "", "zzz", "a)|(?:b"])
def test_many_rules_find_what_each_finds_alone(patterns, text):
    rules = [a_rule(f"r{at}", matches=pattern) for at, pattern in enumerate(patterns)]
    alone = [rule.name for rule in rules if applied([rule], a_message(text))]
    assert applied(rules, a_message(text)) == alone


@given(
    st.sampled_from(
        ["a", "^a", "a$", r"\Aa\z", r"\[?^a", r"[^b]a", r"\ba", r"\Bb", r"a\\", "(?m)^a", "^", "a.*b", r"\x00"]
    ),
    st.lists(st.text("ab[^\\ \n", max_size=4), max_size=4),
)
def test_a_text_is_searched_among_others_as_it_is_alone(pattern, several):
    rules = [a_rule(matches=pattern)]
    assert bool(applied(rules, a_message(*several))) == any(applied(rules, a_message(text)) for text in several)


@given(
    st.sampled_from(
        ["ab", "ab?c", "a?b", "ab*c", "ab{0}", "ab+", "ab|c", "a(?i)b", "(?i)ab", "a[bc]", r"a\x62", "a-b_ c"]
    ),
    st.text("abcABC-_ ", max_size=8),
)
def test_looking_for_how_a_match_begins_first_hides_none(pattern, text):
    found = re2.search(pattern, text) is not None
    assert bool(applied([a_rule(matches=pattern)], a_message(text))) == found
    assert bool(applied([a_rule(matches=pattern), a_rule("other", matches="zz")], a_message(text))) == found


def test_a_warning_denies_nothing():
    verdict = Rulebook([a_rule(action="Warn", matches="a")]).check(a_message("a"), 0)
    assert (bool(verdict.rules), verdict.denies, verdict.stops) == (True, False, False)


def test_texts_are_not_looked_for_where_no_pattern_asks():
    unread = Message(RuleTarget.LLM_REQUEST, ("claude",), 1, lambda: 1 / 0)
    rules = [a_rule(matches="x", model="gpt*"), a_rule(more_than_bytes=5), a_rule(matches="x", more_than_bytes=5)]
    assert not Rulebook(rules).check(unread, 0).rules


def test_a_policy_without_rules_for_an_event_costs_nothing():
    book = Rulebook([a_rule(on=("ToolCall",), matches="x")])
    assert [book.looks_at(on) for on in RuleTarget] == [False, False, True, False]
    assert book.watch(Message(RuleTarget.LLM_RESPONSE, ("gpt-4o",)), 0) is None


@pytest.mark.parametrize("pattern", ["(a", "(?=a)", r"(a)\1", "a{2000}", "((a{100}){100}){100}"])
def test_a_pattern_that_re2_cannot_read_makes_the_policy_unusable_and_is_not_quoted(pattern):
    with pytest.raises(PolicyError, match="'bad-rule'") as refused:
        Rulebook([a_rule("bad-rule", matches=pattern)])
    assert pattern not in str(refused.value)


def test_a_rate_counts_the_messages_of_the_last_minute_that_are_otherwise_as_the_rule_says():
    book = Rulebook([a_rule(matches="x", more_per_minute=2)])
    times = [0, 1, 2, 59.9, 60.5, 61.5, 200]
    said = [bool(book.check(a_message("x"), now).rules) for now in times for _ in [book.check(a_message("y"), now)]]
    assert said == [False, False, True, True, True, True, False]


def test_a_rate_goes_on_counting_under_a_new_policy_that_keeps_the_rule():
    kept, changed = a_rule("kept", more_per_minute=1), a_rule("changed", more_per_minute=1)
    former = Rulebook([kept, changed])
    former.check(a_message(), 0)
    new = Rulebook([changed.model_copy(update={"action": RuleAction.WARN}), kept], former)
    assert [rule.name for rule in new.check(a_message(), 1).rules] == ["kept"]


def test_a_long_run_of_messages_keeps_no_more_of_them_than_the_rule_needs():
    book = Rulebook([a_rule(more_per_minute=3)])
    assert [bool(book.check(a_message(), 0).rules) for _ in range(1000)] == [False] * 3 + [True] * 997
    assert len(book.entries[0].rate._times) == 4


# texts


@pytest.mark.parametrize(
    "body",
    [
        rb'{"messages":[{"content":"AK\u0049A"}]}',
        rb'{"messages":[{"content":[{"type":"text","text":"AKIA"}]}]}',
        rb'["AKIA"]',
        rb'"AKIA"',
        rb'{"input":{"AKIA":1}}',
        rb'{"params":{"arguments":{"deep":[{"AK\u0049A":null}]}}}',
        rb'{"function":{"arguments":"{\"AKIA\":1}"}}',
        rb'{"function":{"arguments":"{\"k\":\"AK\\u0049A\"}"}}',
        rb'{"text":"{\"arguments\":\"{\\\"k\\\":\\\"AK\\\\u0049A\\\"}\"}"}',
        rb'{"text":"\ud800 AK\u0049A"}',
        rb'{"number":1e999,"text":"AK\u0049A"}',
        rb'{"not": json AKIA',
        rb"not json AK\u0049A",
        b"\xff AKIA",
    ],
)
def test_no_way_of_writing_json_hides_a_text(body):
    message = Message(RuleTarget.LLM_REQUEST, (), len(body), lambda: message_texts.of_body(body))
    assert applied([a_rule(matches="AKIA")], message)


def test_names_and_numbers_are_texts_only_where_the_sender_chose_the_names():
    body = {"content": 1, "metadata": {"mine": 4111111111111111, "on": True}, "input": [{"role": "user"}]}
    assert set(message_texts.of_value(body)) == {"mine", "on", "4111111111111111", "user"}
    assert set(message_texts.of_value({"a": [{"b": 2.5}]}, open_names=True)) == {"a", "b", "2.5"}


@given(st.recursive(st.text() | st.integers(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)))
def test_every_string_of_a_body_is_a_text(value):
    raw = json.dumps(value).encode()
    found = list(message_texts.of_body(raw))
    assert all(text in found for text in _strings(json.loads(raw)))


def _strings(value):
    if isinstance(value, dict):
        return [text for child in value.values() for text in _strings(child)]
    if isinstance(value, list):
        return [text for child in value for text in _strings(child)]
    return [value] if isinstance(value, str) else []


@given(st.text(st.sampled_from('ab\\"u00d8e3\n\U0001f600\ud83d')))
def test_a_text_with_its_escapes_undone_is_what_json_reads(text):
    written = json.dumps(text)
    assert message_texts.unescaped(written[1:-1]) == json.loads(written).encode("utf-16-be", "surrogatepass").decode(
        "utf-16-be", "replace"
    )


@given(st.text(st.sampled_from('ab\\"u00d8e3')), st.lists(st.integers(0, 40)))
def test_a_text_in_pieces_is_unescaped_as_it_is_whole(text, cuts):
    written = json.dumps(text)[1:-1] + "."
    found, rest = [], ""
    for begin, end in pairwise(sorted({0, len(written), *(cut for cut in cuts if cut < len(written))})):
        ready, rest = message_texts.split_escape(rest + written[begin:end])
        found.append(message_texts.unescaped(ready))
    assert "".join(found) + rest == text + "."


# streams


def test_a_match_that_is_cut_into_chunks_is_found_in_the_event_that_completes_it():
    chunks = [a_chunk("key AKIA0123"), a_chunk("456789AB"), a_chunk("CDE"), a_chunk("F and"), a_chunk("more")]
    assert stream([on_answers(KEY)], *chunks) == [(3, "a-rule")]


def test_every_cut_of_a_stream_is_found():
    text = f'a "{A_KEY}" \N{GRINNING FACE}'
    for cut in range(1, 24):
        chunks = [a_chunk(text[begin : begin + cut]) for begin in range(0, len(text), cut)]
        assert [name for _, name in stream([on_answers(KEY)], *chunks)] == ["a-rule"]


def test_the_choices_of_a_stream_are_texts_of_their_own():
    mixed = [a_chunk("AK", 0), a_chunk("AK", 1), a_chunk("xx", 0), a_chunk("IA", 1)]
    assert stream([on_answers("AKIA")], *mixed) == [(3, "a-rule")]
    assert stream([on_answers("AKIA")], a_chunk("AK", 0), a_chunk("IA", 1)) == []


def test_the_arguments_of_a_tool_call_are_read_through_their_escapes_wherever_they_are_cut():
    written = json.dumps({"command": A_KEY}).replace("AKIA", "\\u0041K\\u0049A")
    for cut in range(1, 12):
        pieces = [arguments(written[begin : begin + cut]) for begin in range(0, len(written), cut)]
        assert [name for _, name in stream([on_answers(KEY)], *pieces)] == ["a-rule"]


def test_tool_calls_are_told_apart_by_their_index():
    assert stream([on_answers("AKIA")], arguments("AK", 0), arguments("IA", 1), arguments("IA", 0)) == [(2, "a-rule")]


@pytest.mark.parametrize(
    "events",
    [
        [{"choices": [{"index": 0, "text": "AK"}]}, {"choices": [{"index": 0, "text": "IA"}]}],
        [{"choices": [{"delta": {"reasoning_content": each}}]} for each in ("AK", "IA")],
        [
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": each}}
            for each in ("AK", "IA")
        ],
        [
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": each}}
            for each in ('{"a":"AK\\u00', '49A"}')
        ],
        [
            {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": each}
            for each in ("AK", "IA")
        ],
        [
            {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": each}
            for each in ("AK", "\\u0049A")
        ],
        [{"type": "message_start"}, {"type": "content_block_start", "content_block": {"input": {"AKIA": 1}}}],
        [{"type": "response.created"}, {"type": "response.completed", "response": {"output": ["AKIA"]}}],
        [{"anything": 1}, {"else": ["AKIA"]}],
        [b"1", b"AKIA"],
    ],
)
def test_every_protocol_has_its_texts_found(events):
    assert stream([on_answers("AKIA")], *events) == [(1, "a-rule")]


def test_a_rule_applies_once_to_a_stream_and_rules_apply_one_by_one():
    rules = [
        a_rule("size", on=("LLMResponse",), more_than_bytes=250, action="Warn"),
        a_rule("both", on=("LLMResponse",), more_than_bytes=250, matches="a"),
        a_rule("text", on=("LLMResponse",), matches="b"),
        a_rule("model", on=("LLMResponse",), model="claude*"),
    ]
    found = stream(rules, a_chunk("a"), a_chunk("b"), a_chunk("c"), a_chunk("abc"))
    assert found == [(1, "text"), (2, "size"), (2, "both")]


def test_a_window_remembers_enough_and_its_border_is_not_the_beginning_of_the_text():
    long = "é" * WINDOW
    rules = [on_answers("(?s)^x.{9}END"), a_rule("begin", on=("LLMResponse",), matches="^é*END")]
    assert stream(rules, a_chunk("y"), a_chunk(long), a_chunk("x"), a_chunk("123456789"), a_chunk("END")) == []
    near = [a_chunk(long), a_chunk("x" + "1" * (WINDOW - 10)), a_chunk("END")]
    assert stream([on_answers("(?s)x1+END")], *near) == [(2, "a-rule")]


def test_a_stream_with_channels_without_end_keeps_a_bounded_memory():
    watcher = Rulebook([on_answers("AKIA")]).watch(Message(RuleTarget.LLM_RESPONSE, ("gpt-4o",)), 0.0)
    reader = EventReader()
    for index in range(1000):
        for event in reader.feed(b"data: " + orjson.dumps(a_chunk("x", index)) + b"\n\n"):
            watcher.passed(event)
    assert len(watcher._windows._channels) <= 257
