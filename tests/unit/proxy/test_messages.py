"""Origins."""

import pytest
from agenttype_proxy.messages import Origin


@pytest.mark.parametrize(
    ("url", "origin", "base", "authority"),
    [
        ("http://shared.models:8000", Origin("http", "shared.models", 8000), "", "shared.models:8000"),
        ("http://h:80/base", Origin("http", "h", 80), "/base", "h"),
        ("https://api.example.com/v1/", Origin("https", "api.example.com", 443), "/v1", "api.example.com"),
        ("https://EXAMPLE.com", Origin("https", "example.com", 443), "", "example.com"),
        ("http://[::1]:9/a/b", Origin("http", "::1", 9), "/a/b", "[::1]:9"),
        ("http://10.0.0.1", Origin("http", "10.0.0.1", 80), "", "10.0.0.1"),
    ],
)
def test_a_url_is_an_origin_and_a_base(url, origin, base, authority):
    parsed = Origin.parse(url)
    assert (parsed, parsed.base, parsed.authority) == (origin, base, authority)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "start with http"),
        ("h:80", "start with http"),
        ("ftp://h", "start with http"),
        ("file:///etc/passwd", "start with http"),
        ("gopher://h", "start with http"),
        ("http://", "name a host"),
        ("http://:80", "name a host"),
        ("http://a b", "visible ASCII"),
        ("http://höst", "visible ASCII"),
        ("http://h\r\nx", "visible ASCII"),
        ("http://user@h", "user information"),
        ("http://user:pass@h", "user information"),
        ("http://h?x=1", "query"),
        ("http://h?", "query"),
        ("http://h/#f", "fragment"),
        ("http://h:0", "1 to 65535"),
        ("http://h:65536", "1 to 65535"),
        ("http://h:x", "1 to 65535"),
        ("http://h/a b", "visible ASCII"),
        ("http://h/a\\b", "plain"),
        ("http://h/a/../b", "dot segments"),
        ("http://[::1", "name a host"),
    ],
)
def test_a_url_that_is_not_plain_is_refused_with_the_fix(url, says):
    with pytest.raises(ValueError, match=says):
        Origin.parse(url)


def test_two_bases_of_one_server_share_its_connections():
    assert {Origin.parse("http://h/a"): 1}[Origin.parse("http://h/b")] == 1


def test_a_target_goes_below_the_base():
    assert Origin.parse("http://h/base/").target(b"/v1/models?x=1") == b"/base/v1/models?x=1"
