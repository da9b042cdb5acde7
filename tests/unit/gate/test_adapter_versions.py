"""What is served while the pods learn of a new version, and to whom."""

from agenttype_api.gate_policy import WantedAdapter
from agenttype_gate import adapter_versions
from agenttype_gate.adapter_versions import ReplacedVersion


def adapter(served_name):
    return WantedAdapter(name="any", served_name=served_name, path="any", digest="sha256:" + "0" * 64)


def wanted(*names):
    return {name: adapter(name) for name in names}


def test_a_version_that_another_one_replaces_is_remembered():
    found = adapter_versions.replaced(wanted("green@2"), wanted("green@1"), {}, due=90)
    assert found == {"green@1": ReplacedVersion(adapter("green@1"), 90)}


def test_an_adapter_that_goes_altogether_is_not_remembered():
    assert adapter_versions.replaced(wanted("red@1"), wanted("green@1"), {}, due=90) == {}


def test_a_version_that_comes_back_is_not_replaced_any_more():
    known = {"green@1": ReplacedVersion(adapter("green@1"), 50)}
    assert adapter_versions.replaced(wanted("green@1"), wanted("green@2"), known, due=90).keys() == {"green@2"}


def test_another_document_does_not_lengthen_the_time_of_those_that_went_before():
    known = {"green@1": ReplacedVersion(adapter("green@1"), 50)}
    found = adapter_versions.replaced(wanted("green@3"), wanted("green@2"), known, due=90)
    assert {name: version.due for name, version in found.items()} == {"green@1": 50, "green@2": 90}


def test_what_is_loaded_and_whose_time_is_not_over_is_kept_the_latest_first():
    known = {
        name: ReplacedVersion(adapter(name), due) for name, due in (("green@1", 50), ("green@2", 90), ("red@1", 70))
    }
    assert adapter_versions.kept(known, ["green@1", "red@1"], room=3, now=40) == [adapter("green@1"), adapter("red@1")]
    assert adapter_versions.kept(known, known, room=1, now=40) == [adapter("green@2")]
    assert adapter_versions.kept(known, known, room=3, now=80) == [adapter("green@2")]
    assert adapter_versions.kept(known, known, room=0, now=40) == []


def test_only_names_with_a_version_have_an_alias():
    assert adapter_versions.is_version_of("green@2", ["green@1"])
    assert not adapter_versions.is_version_of("base", ["base", "green@1"])
    assert not adapter_versions.is_version_of("@2", ["@1"])
    assert not adapter_versions.is_version_of("green@2", ["greener@1", "green"])
