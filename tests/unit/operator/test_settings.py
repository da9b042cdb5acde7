import pytest
from agenttype_operator import settings
from support.builders.certificates import Authority

REQUIRED = {"SIDECAR_IMAGE": "s", "WRAPPER_IMAGE": "w", "GATE_IMAGE": "g", "LEASE_NAMESPACE": "here"}


def test_namespaces_are_a_sorted_set_and_none_means_all():
    assert settings.from_environment({**REQUIRED, "NAMESPACES": " b, a,,"}).namespaces == ("a", "b")
    assert settings.from_environment({**REQUIRED, "NAMESPACES": ""}).namespaces == ()


@pytest.mark.parametrize("name", REQUIRED)
def test_what_is_required_is_named_when_it_is_missing(name):
    with pytest.raises(settings.SettingsError, match=name):
        settings.from_environment({**REQUIRED, name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "x"),
        ("SWEEP_SECONDS", "soon"),
        ("LOG_LEVEL", "LOUD"),
        ("AGENTTYPE_STORE_URL", "http://x"),
        ("AGENTTYPE_STORE_URL", "nats://user:secret@x"),
        ("AGENTTYPE_STORE_CA", "no certificate"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(name, value):
    with pytest.raises(settings.SettingsError, match=name):
        settings.from_environment({**REQUIRED, name: value})


def test_there_is_a_store_when_its_url_is_given():
    assert settings.from_environment(REQUIRED).making.store_url is None
    found = settings.from_environment({**REQUIRED, "AGENTTYPE_STORE_URL": "nats://store:4222"})
    assert found.making.store_url == "nats://store:4222"


def test_a_store_is_vouched_for_by_the_certificates_that_are_given(tmp_path):
    certificate = Authority(tmp_path).certificate.read_text()
    found = settings.from_environment({**REQUIRED, "AGENTTYPE_STORE_CA": certificate})
    assert found.making.store_authority == certificate
    assert settings.from_environment(REQUIRED).making.store_authority is None


def test_all_servers_of_a_cluster_can_be_named():
    url = "nats://a:4222,b:4222"
    assert settings.from_environment({**REQUIRED, "AGENTTYPE_STORE_URL": url}).making.store_url == url


def test_two_replicas_without_names_are_not_one():
    assert settings.from_environment({**REQUIRED, "POD_NAME": "a"}).identity == "a"
    assert settings.from_environment(REQUIRED).identity != "agenttype-operator"
