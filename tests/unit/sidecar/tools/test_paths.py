"""Which paths of HTTP APIs have one reading only."""

import pytest
from agenttype_sidecar.tools.http import plain_path
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/orders/17", "/a.b/...", "/a%20b", "/~me/@x:y,z=1", "/%F0%9F%98%80"]
)
def test_plain_paths_are_plain(path):
    assert plain_path.is_plain(path)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "v1",
            "//",
            "/a//b",
            "/.",
            "/a/..",
            "/a/../b",
            "/%2e",
            "/a%2Fb",
            "/a;b",
            "/a\\b",
            "/a%",
            "/a%zz",
            "/a%80",
        ),
        *("/a%7f", "/a b", "/ü", "/a%E2%80%A5/b%2e"),
    ],
)
def test_paths_with_two_readings_are_not(path):
    assert not plain_path.is_plain(path)


@given(st.text(alphabet="/.%25eEfFcC\\;a ", max_size=12))
def test_no_plain_path_hides_a_step_up_however_often_it_is_decoded(text):
    from urllib.parse import unquote  # noqa: PLC0415 — what a careless server would do

    path = "/" + text
    decoded = unquote(unquote(path)).replace("\\", "/").split(";")[0]

    assert not plain_path.is_plain(path) or ".." not in decoded.split("/")
