import pytest
from agenttype_operator.desired import metadata
from agenttype_operator.kube import drift

WANTED = metadata.sealed({"kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"k": "v"}})


def test_an_object_as_applied_is_covered_whatever_the_server_added():
    live = {**WANTED, "metadata": {**WANTED["metadata"], "uid": "u", "labels": {"x": "1", "y": "2"}}, "status": {}}

    assert drift.sealed_as(live, WANTED)
    assert drift.covers(live, WANTED)


def test_another_plan_is_another_seal():
    other = metadata.sealed({**WANTED, "data": {"k": "w"}, "metadata": {"name": "a"}})

    assert not drift.sealed_as(other, WANTED)


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        pytest.param({"a": 2}, {"a": 1}, id="another value"),
        pytest.param({}, {"a": 1}, id="a missing member"),
        pytest.param({"a": [1, 3]}, {"a": [1, 2]}, id="a missing item"),
        pytest.param({"a": [2, 1]}, {"a": [1, 2]}, id="another order"),
        pytest.param({"a": "b"}, {"a": ["b"]}, id="no list"),
        pytest.param("a", {"a": 1}, id="no object"),
        pytest.param({"a": True}, {"a": False}, id="the other truth"),
    ],
)
def test_what_differs_is_not_covered(live, wanted):
    assert not drift.covers(live, wanted)


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        pytest.param({}, {"a": {}}, id="an empty object that the server drops"),
        pytest.param({}, {"a": ""}, id="an empty string that the server drops"),
        pytest.param({"a": [0, 1, 2]}, {"a": [1, 2]}, id="company in a list"),
        pytest.param({"a": [{"n": 1, "d": 5}]}, {"a": [{"n": 1}]}, id="defaults in an item"),
    ],
)
def test_what_the_server_adds_or_drops_does_not_matter(live, wanted):
    assert drift.covers(live, wanted)
