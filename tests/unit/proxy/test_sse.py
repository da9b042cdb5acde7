"""The reader of server-sent events."""

import itertools

import pytest
from agenttype_proxy.errors import EventTooLarge
from agenttype_proxy.sse import Event, EventReader
from hypothesis import example, given
from hypothesis import strategies as st


def read(*chunks: bytes) -> list[Event]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.flush()


streams = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"data: x", b"data:", b"event: e", b": c", b"\xef\xbb\xbf", b"\xc3\xa4"]),
    max_size=24,
).map(b"".join)
chunkings = st.lists(st.integers(min_value=0, max_value=80), max_size=12)


@given(streams, chunkings)
@example(b"data: a\r\r\ndata: b\n\n", [9])
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", [8, 9, 10, 11])
def test_any_chunking_of_a_stream_gives_the_same_events(stream, cuts):
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[begin:end] for begin, end in itertools.pairwise(edges)]
    assert read(*chunks) == read(stream)


@given(streams)
def test_a_stream_fed_byte_by_byte_gives_the_same_events(stream):
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == read(stream)


@given(streams)
def test_the_raw_bytes_of_all_events_are_the_stream(stream):
    assert b"".join(event.raw for event in read(stream)) == stream


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lf_and_cr_and_crlf_end_a_line_alike(end):
    stream = end.join([b"event: delta", b"data: one", b"data: two", b"", b"data: three", b"", b""])
    assert [(event.name, event.data) for event in read(stream)] == [(b"delta", b"one\ntwo"), (b"", b"three")]


def test_an_event_is_given_out_with_its_last_byte():
    reader = EventReader()
    assert reader.feed(b"data: a\n") == []
    assert reader.feed(b"\n") == [Event(b"data: a\n\n", b"", b"a")]


def test_a_crlf_event_is_given_out_with_its_last_byte():
    reader = EventReader()
    assert reader.feed(b"data: a\r\n\r") == []
    assert reader.feed(b"\n") == [Event(b"data: a\r\n\r\n", b"", b"a")]


def test_a_comment_is_an_event_without_data():
    assert read(b": keep-alive\n\n") == [Event(b": keep-alive\n\n", b"", b"")]


def test_only_one_blank_is_taken_off_a_value():
    assert read(b"data:  a \n\n")[0].data == b" a "


def test_a_byte_order_mark_does_not_hide_the_first_field():
    assert read(b"\xef\xbb\xbfdata: a\n\n") == [Event(b"\xef\xbb\xbfdata: a\n\n", b"", b"a")]


def test_a_stream_that_ends_without_an_empty_line_still_gives_its_last_bytes():
    assert read(b"data: a\n\ndata: [DONE]") == [
        Event(b"data: a\n\n", b"", b"a"),
        Event(b"data: [DONE]", b"", b"[DONE]"),
    ]


def test_data_is_not_decoded():
    assert read(b"data: \xff\xfe\x00\n\n")[0].data == b"\xff\xfe\x00"


def test_an_event_beyond_the_limit_is_refused_while_it_arrives():
    reader = EventReader(limit=100)
    reader.feed(b"data: " + b"x" * 94)
    with pytest.raises(EventTooLarge):
        reader.feed(b"x")


def test_a_whole_event_beyond_the_limit_is_refused():
    with pytest.raises(EventTooLarge):
        EventReader(limit=100).feed(b"data: " + b"x" * 100 + b"\n\n")


def test_many_small_events_do_not_add_up_to_the_limit():
    assert len(EventReader(limit=100).feed(b"data: x\n\n" * 1000)) == 1000
