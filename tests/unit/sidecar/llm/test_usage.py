import itertools
import json

import pytest
from agenttype_api.policy import WireProtocol
from agenttype_proxy.sse import Event, EventReader
from agenttype_sidecar.budget.amounts import Amounts
from agenttype_sidecar.errors import BudgetSpent
from agenttype_sidecar.llm import usage
from agenttype_sidecar.llm.meter import Meter
from agenttype_sidecar.llm.usage import Cost, Source, Usage
from hypothesis import given
from hypothesis import strategies as st

OPENAI, ANTHROPIC = WireProtocol.OPENAI, WireProtocol.ANTHROPIC
HELD = Amounts(100, 50, 1)


def data(**content):
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n".encode()


def named(name, **content):
    return f"event: {name}\n".encode() + data(type=name, **content)


def piece(text, **more):
    return data(id="1", choices=[{"index": 0, "delta": {"content": text}}], **more)


def response(name, **content):
    return named(name, response={"id": "resp_1", "output": [{"id": "msg_1"}, {"id": 7}]} | content)


def counted(prompt, completion):
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}}


FINAL = data(id="1", choices=[], **counted(7, 3))
DONE = b"data: [DONE]\n\n"
TRICKY = 'say ,"usage":{"prompt_tokens":1} and "usage"'


def passed(stream, meter, cuts=()):
    """What the caller gets of a stream that arrives cut at these places."""
    reader, out, places = EventReader(), b"", [0, *sorted(cuts), len(stream)]
    for begin, end in itertools.pairwise(places):
        out += b"".join(meter.passed(event) for event in reader.feed(stream[begin:end]))
    return out + b"".join(meter.passed(event) for event in reader.flush())


@given(st.lists(st.integers(0, 400), max_size=6))
def test_the_usage_chunk_is_stripped_and_all_else_passes_however_the_stream_is_cut(cuts):
    events = piece("a") + piece(TRICKY) + b": a comment\n\n" + piece("ü€")
    meter = Meter(OPENAI, keep_usage=False, running=False)
    stream = events + FINAL + DONE
    assert passed(stream, meter, [cut % len(stream) for cut in cuts]) == events + DONE
    assert (meter.usage, meter.final) == (Usage(7, 3), True)


def test_the_usage_chunk_stays_where_it_was_asked_for():
    stream = piece("a") + FINAL + DONE
    assert passed(stream, Meter(OPENAI, keep_usage=True, running=False)) == stream


def test_a_running_count_is_cut_out_of_every_chunk_and_remembered():
    stream = piece("a", **counted(7, 1)) + piece(TRICKY, **counted(7, 2))
    meter = Meter(OPENAI, keep_usage=False, running=True)
    assert passed(stream, meter) == piece("a") + piece(TRICKY)
    assert (meter.usage, meter.final) == (Usage(7, 2), False)


def test_a_running_count_with_details_is_cut_out_too():
    details = {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached": 1}, "x": None}
    meter = Meter(OPENAI, keep_usage=False, running=True)
    assert passed(piece("a", usage=details), meter) == piece("a")


def test_usage_on_the_last_chunk_with_text_passes_and_counts():
    stream = piece("a", usage=None) + piece("b", **counted(7, 2)) + DONE
    meter = Meter(OPENAI, keep_usage=False, running=False)
    assert passed(stream, meter) == stream
    assert (meter.usage, meter.final) == (Usage(7, 2), True)


def test_a_running_count_stays_where_it_was_asked_for_and_counts_all_the_same():
    stream = piece("a", **counted(7, 1)) + piece("b", **counted(7, 2))
    meter = Meter(OPENAI, keep_usage=True, running=True, keep_count=True)
    assert passed(stream, meter) == stream
    assert (meter.usage, meter.final, meter.counts) == (Usage(7, 2), False, True)


ENDING = data(id="1", choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], **counted(7, 2))


@pytest.mark.parametrize(
    ("stream", "is_final"),
    [
        (piece("a") + ENDING + DONE, True),
        (piece("a") + ENDING, False),  # of several answers only the first has ended
        (piece("a", **counted(7, 1)) + piece("b", **counted(7, 2)) + DONE, True),
        (piece("a", **counted(7, 1)) + piece("b", **counted(7, 2)), False),
        (piece("a", **counted(7, 1)) + piece("b") + DONE, False),
        (FINAL + piece("a") + DONE, False),
        (FINAL + piece("a") + FINAL + DONE, True),
        (piece("a") + FINAL, True),
        (piece("a", **counted(7, 1)) + data(id="1", choices=[{"index": 0, "delta": {}}]) + DONE, True),
        (piece("a") + data(choices=[], usage=None) + DONE, False),
    ],
)
def test_a_number_is_a_total_only_where_no_text_comes_after_it_and_nothing_is_missing(stream, is_final):
    meter = Meter(OPENAI, keep_usage=True, running=False)
    passed(stream, meter)
    assert meter.final is is_final


def test_a_count_that_stops_while_the_text_goes_on_is_none():
    meter = Meter(OPENAI, keep_usage=False, running=True)
    passed(piece("a", **counted(7, 1)) + piece("b"), meter)
    assert (meter.counts, meter.final) == (False, False)


def test_a_stream_that_ends_without_a_last_word_is_whole_where_its_reader_says_so():
    meter = Meter(OPENAI, keep_usage=True, running=False)
    passed(piece("a") + ENDING, meter)
    meter.complete()
    assert (meter.usage, meter.final) == (Usage(7, 2), True)


def test_a_message_that_goes_on_after_its_total_has_none():
    stream = named("message_delta", usage={"input_tokens": 5, "output_tokens": 1})
    stream += named("content_block_delta", delta={"text": "a"})
    meter = Meter(ANTHROPIC, keep_usage=False, running=False)
    passed(stream, meter)
    assert (meter.usage, meter.final) == (Usage(5, 1), False)


class Allowed:
    """Lets ten tokens of output pass."""

    def beyond(self, reported):
        return SPENT if (reported.output or 0) > 10 else None


SPENT = BudgetSpent("it is spent", "run", 0)
START = named("message_start", message={"usage": {"input_tokens": 5, "output_tokens": 1}})


def refused(protocol, stream):
    meter = Meter(protocol, keep_usage=False, running=False)
    meter.limit(Allowed())
    passed(stream, meter)
    return meter.refused


@pytest.mark.parametrize(
    ("protocol", "stream"),
    [
        (OPENAI, piece("a", **counted(7, 11))),
        (ANTHROPIC, START + named("message_delta", delta={}, usage={"output_tokens": 11})),
        (OPENAI, response("response.in_progress", usage={"input_tokens": 1, "output_tokens": 11})),
    ],
)
def test_a_stream_that_tells_of_more_than_is_held_is_refused(protocol, stream):
    assert refused(protocol, stream) is SPENT


@pytest.mark.parametrize(
    ("protocol", "stream"),
    [
        (OPENAI, piece("a", **counted(7, 10))),
        (OPENAI, piece("a") + data(choices=[], **counted(7, 11)) + DONE),
        (OPENAI, data(choices=[{"index": 0, "delta": {"content": "a"}, "finish_reason": "length"}], **counted(7, 11))),
        (ANTHROPIC, START + named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 11})),
        (OPENAI, response("response.completed", usage={"input_tokens": 1, "output_tokens": 11})),
        (OPENAI, piece("a") * 99),
        (OPENAI, piece("a" * 10**6)),
    ],
)
def test_a_stream_is_refused_neither_at_its_end_nor_for_its_length(protocol, stream):
    assert refused(protocol, stream) is None


@given(st.lists(st.integers(0, 800), max_size=6))
def test_an_anthropic_stream_passes_unchanged_and_its_largest_counts_hold(cuts):
    stream = (
        named("message_start", message={"usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1}})
        + named("content_block_delta", delta={"text": "a"})
        + named("message_delta", usage={"output_tokens": 4})
        + named("message_delta", usage={"output_tokens": 9})
        + named("message_stop")
    )
    meter = Meter(ANTHROPIC, keep_usage=False, running=False)
    assert passed(stream, meter, [cut % len(stream) for cut in cuts]) == stream
    assert (meter.usage, meter.final, meter.events) == (Usage(7, 9, 2), True, 1)


RESPONSE_USAGE = {"input_tokens": 7, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 5}}


@given(st.lists(st.integers(0, 800), max_size=6))
def test_a_response_tells_its_usage_and_its_names_with_its_last_event(cuts):
    stream = (
        response("response.created", usage=None)
        + named("response.output_text.delta", delta=TRICKY)
        + response("response.completed", usage=RESPONSE_USAGE)
    )
    meter = Meter(OPENAI, keep_usage=False, running=False)
    assert passed(stream, meter, [cut % len(stream) for cut in cuts]) == stream
    assert (meter.usage, meter.final, meter.ended) == (Usage(7, 3, 5), True, True)
    assert meter.ids == ("resp_1", "msg_1")


def test_a_response_that_is_cut_has_no_names_yet():
    meter = Meter(OPENAI, keep_usage=False, running=False)
    passed(response("response.created", usage=None) + named("response.output_text.delta", delta="a"), meter)
    assert (meter.usage, meter.final, meter.ended, meter.ids, meter.events) == (Usage(), False, False, (), 1)


@pytest.mark.parametrize(
    ("protocol", "stream"),
    [
        (OPENAI, piece("a") + DONE),
        (OPENAI, data(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])),
        (OPENAI, data(error={"message": "broken"})),
        (OPENAI, response("response.incomplete", usage=None)),
        (OPENAI, response("response.failed")),
        (OPENAI, named("error", code="x")),
        (ANTHROPIC, named("message_stop")),
        (ANTHROPIC, named("error", error={})),
    ],
)
def test_a_stream_has_ended_where_its_protocol_says_so(protocol, stream):
    meter = Meter(protocol, keep_usage=False, running=False)
    passed(stream, meter)
    assert meter.ended


@pytest.mark.parametrize(
    ("protocol", "stream"),
    [
        (OPENAI, piece('{"finish_reason":"stop"}') + piece("a", **counted(7, 1))),
        (OPENAI, data(choices=[{"index": 0, "delta": {}, "finish_reason": None}], error=None)),
        (ANTHROPIC, named("message_delta", usage={"output_tokens": 3})),
    ],
)
def test_a_stream_that_only_stops_has_not_ended(protocol, stream):
    meter = Meter(protocol, keep_usage=False, running=False)
    passed(stream, meter)
    assert not meter.ended


def test_a_cut_anthropic_stream_knows_its_prompt_but_not_its_answer():
    meter = Meter(ANTHROPIC, keep_usage=False, running=False)
    passed(named("message_start", message={"usage": {"input_tokens": 5, "output_tokens": 1}}), meter)
    assert (meter.usage, meter.final) == (Usage(5, None), False)


@pytest.mark.parametrize("protocol", [OPENAI, ANTHROPIC])
@pytest.mark.parametrize(
    "raw",
    [b'data: {"usage":\n\n', b'data: "usage"\n\n', b'data: ["usage"]\n\n', b'data: {"usage":{"prompt_tokens":"x"}}\n\n',
     b"event: message_start\ndata: 1\n\n", b'event: message_delta\ndata: {"usage":[]}\n\n', b"\n\n"],
)  # fmt: skip
def test_what_makes_no_sense_passes_and_counts_nothing(protocol, raw):
    meter = Meter(protocol, keep_usage=False, running=True)
    assert passed(raw, meter) == raw
    assert meter.usage == Usage()


def test_events_are_taken_as_they_are_given():
    event = Event(b"data: x\n\n", b"", b"x")
    assert Meter(OPENAI, keep_usage=False, running=False).passed(event) == event.raw


@pytest.mark.parametrize(
    ("body", "protocol", "expected"),
    [
        (b'{"usage":{"prompt_tokens":3,"completion_tokens":4}}', OPENAI, Usage(3, 4)),
        (b'{"usage":{"prompt_tokens":0,"completion_tokens":0}}', OPENAI, Usage(0, 0)),
        (
            b'{"usage":{"input_tokens":3,"cache_creation_input_tokens":4,"output_tokens":5}}',
            ANTHROPIC,
            Usage(7, 5, None, 4),
        ),
        (b'{"usage":{"input_tokens":3,"output_tokens":4}}', OPENAI, Usage(3, 4)),
        (b'{"usage":{"prompt_tokens":3,"total_tokens":3}}', OPENAI, Usage(3, 0)),
        (
            b'{"usage":{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}}',
            OPENAI,
            Usage(3, 1, 2),
        ),
        (
            b'{"usage":{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":9}}}',
            OPENAI,
            Usage(3, 1, 3),
        ),
        (b'{"usage":{"prompt_tokens":3,"completion_tokens":9000000000000000}}', OPENAI, Usage(3)),
        (b'{"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":9}}', OPENAI, Usage(3, 6)),
        (b'{"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":5}}', OPENAI, Usage(3, 4)),
        (b'{"usage":{"prompt_tokens":-3,"completion_tokens":true}}', OPENAI, Usage()),
        (b'{"usage":null}', OPENAI, Usage()),
        (b"{}", ANTHROPIC, Usage()),
        (b"[]", OPENAI, Usage()),
        (b"no json", OPENAI, Usage()),
    ],
)
def test_a_whole_answer_tells_its_usage(body, protocol, expected):
    assert usage.of_body(body, protocol) == expected


@pytest.mark.parametrize(
    ("reported", "final", "expected"),
    [
        (Usage(7, 3), True, Cost(Amounts(7, 3, 1), Source.PROVIDER)),
        (Usage(0, 0), True, Cost(Amounts(0, 0, 1), Source.PROVIDER)),
        (Usage(7, 3), False, Cost(Amounts(7, 3, 1), Source.COUNTED)),
        (Usage(7, None), False, Cost(Amounts(7, 50, 1), Source.RESERVED)),
        (Usage(None, 3), True, Cost(Amounts(100, 3, 1), Source.RESERVED)),
        (Usage(), False, Cost(Amounts(100, 50, 1), Source.RESERVED)),
    ],
)
def test_under_a_token_limit_what_is_not_known_is_charged_as_it_was_held(reported, final, expected):
    assert usage.cost(reported, HELD, final=final, unseen=0) == expected


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (Usage(7, 3), Cost(Amounts(7, 50, 1), Source.RESERVED)),
        (Usage(7, 80), Cost(Amounts(7, 80, 1), Source.RESERVED)),
        (Usage(None, 80), Cost(Amounts(100, 80, 1), Source.RESERVED)),
    ],
)
def test_a_number_in_the_middle_that_is_no_running_count_can_only_make_a_cut_answer_dearer(reported, expected):
    assert usage.cost(reported, HELD, final=False) == expected


@pytest.mark.parametrize(
    ("reported", "most", "expected"),
    [
        (Usage(7), 20, Cost(Amounts(7, 20, 1), Source.ESTIMATED)),
        (Usage(7), 60, Cost(Amounts(7, 50, 1), Source.RESERVED)),
        (Usage(), 20, Cost(Amounts(100, 20, 1), Source.ESTIMATED)),
        (Usage(7, 3), 20, Cost(Amounts(7, 3, 1), Source.COUNTED)),
    ],
)
def test_a_cut_answer_is_charged_no_more_than_its_text_can_have_taken(reported, most, expected):
    assert usage.cost(reported, HELD, final=False, unseen=0, most=most) == expected


@pytest.mark.parametrize(("written", "unseen", "charged"), [(3, 16, 19), (45, 16, 50), (80, 16, 80)])
def test_what_an_engine_can_have_written_since_is_charged_but_no_more_than_was_held(written, unseen, charged):
    expected = Cost(Amounts(7, charged, 1), Source.COUNTED)
    assert usage.cost(Usage(7, written), HELD, final=False, unseen=unseen) == expected


@given(st.lists(st.text(min_size=1), min_size=1, max_size=9))
def test_every_byte_of_text_counts_as_a_token_of_a_cut_answer(texts):
    meter = Meter(ANTHROPIC, keep_usage=False, running=False)
    for text in texts:
        delta = {"type": "text_delta", "text": text}
        passed(named("content_block_delta", index=0, delta=delta), meter)
    assert meter.most >= sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


@pytest.mark.parametrize(
    ("reported", "final", "expected"),
    [
        (Usage(7, 3), True, Cost(Amounts(7, 3, 1), Source.PROVIDER)),
        (Usage(7, 3), False, Cost(Amounts(7, 3, 1), Source.COUNTED)),
        (Usage(7, None), False, Cost(Amounts(7, 12, 1), Source.ESTIMATED)),
        (Usage(), False, Cost(Amounts(100, 12, 1), Source.ESTIMATED)),
    ],
)
def test_without_a_token_limit_what_is_not_known_is_estimated(reported, final, expected):
    assert usage.estimate(reported, size=400, events=12, final=final) == expected


def test_the_usage_of_a_million_numbers_is_found_behind_them():
    numbers = ",".join(["-0.0123"] * 1_000_000)
    body = f'{{"data":[{{"embedding":[{numbers}]}}],"usage":{{"prompt_tokens":7,"total_tokens":7}}}}'.encode()
    assert usage.of_body(body, OPENAI) == Usage(7, 0)


def test_an_answer_that_would_take_too_much_memory_reports_nothing():
    body = b'{"usage":{"prompt_tokens":7,"completion_tokens":7},"x":[' + b"{}," * 400_000 + b"{}]}"
    assert usage.of_body(body, OPENAI) == Usage()
