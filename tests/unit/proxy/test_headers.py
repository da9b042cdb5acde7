"""What of a header list goes on."""

from agenttype_proxy import headers


def test_hop_by_hop_fields_stay_behind():
    fields = [
        (b"connection", b"keep-alive"), (b"keep-alive", b"timeout=5"), (b"proxy-authorization", b"x"),
        (b"te", b"trailers"),
        (b"trailer", b"x"), (b"transfer-encoding", b"chunked"), (b"upgrade", b"h2c"), (b"http2-settings", b"x"),
        (b"proxy-connection", b"keep-alive"), (b"proxy-authenticate", b"x"), (b"accept", b"*/*"),
    ]  # fmt: skip
    assert headers.forwardable(fields) == [(b"accept", b"*/*")]


def test_fields_that_connection_names_stay_behind():
    fields = [
        (b"connection", b"close, X-Secret"),
        (b"x-secret", b"1"),
        (b"connection", b"x-other"),
        (b"x-other", b"2"),
        (b"x", b"3"),
    ]
    assert headers.forwardable(fields) == [(b"x", b"3")]


def test_order_and_repetition_are_kept():
    fields = [(b"b", b"1"), (b"set-cookie", b"x"), (b"a", b"2"), (b"set-cookie", b"y")]
    assert headers.forwardable(fields) == fields


def test_content_encoding_and_content_length_go_on():
    fields = [(b"content-encoding", b"gzip"), (b"content-length", b"12")]
    assert headers.forwardable(fields) == fields


def test_the_first_value_of_a_name_is_got():
    assert headers.get([(b"a", b"1"), (b"a", b"2")], b"a") == b"1"
    assert headers.get([(b"a", b"1")], b"b") is None


def test_a_replaced_field_occurs_once():
    fields = [(b"authorization", b"old"), (b"a", b"1"), (b"authorization", b"older")]
    assert headers.replaced(fields, b"authorization", b"new") == [(b"a", b"1"), (b"authorization", b"new")]


def test_named_fields_are_left_out():
    assert headers.without([(b"a", b"1"), (b"b", b"2"), (b"c", b"3")], b"a", b"c") == [(b"b", b"2")]
