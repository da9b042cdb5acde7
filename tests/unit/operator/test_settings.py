import pytest
from agenttype_operator import settings
from support.builders.certificates import Authority

REQUIRED = {
    "AGENTTYPE_OPERATOR_SIDECAR_IMAGE": "s",
    "AGENTTYPE_OPERATOR_WRAPPER_IMAGE": "w",
    "AGENTTYPE_OPERATOR_GATE_IMAGE": "g",
    "AGENTTYPE_OPERATOR_LEASE_NAMESPACE": "here",
}


def test_namespaces_are_a_sorted_set_and_none_means_all():
    assert settings.from_environment({**REQUIRED, "AGENTTYPE_OPERATOR_NAMESPACES": " b, a,,"}).namespaces == ("a", "b")
    assert settings.from_environment({**REQUIRED, "AGENTTYPE_OPERATOR_NAMESPACES": ""}).namespaces == ()


@pytest.mark.parametrize("name", REQUIRED)
def test_what_is_required_is_named_when_it_is_missing(name):
    with pytest.raises(settings.SettingsError, match=name):
        settings.from_environment({**REQUIRED, name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AGENTTYPE_OPERATOR_HTTP_PORT", "x"),
        ("AGENTTYPE_OPERATOR_RELIST_SECONDS", "soon"),
        ("AGENTTYPE_OPERATOR_LOG_LEVEL", "LOUD"),
        ("AGENTTYPE_OPERATOR_NATS_URL", "http://x"),
        ("AGENTTYPE_OPERATOR_NATS_URL", "nats://user:secret@x"),
        ("AGENTTYPE_OPERATOR_NATS_CA", "no certificate"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(name, value):
    with pytest.raises(settings.SettingsError, match=name):
        settings.from_environment({**REQUIRED, name: value})


def test_there_is_a_store_when_its_url_is_given():
    assert settings.from_environment(REQUIRED).children.nats_url is None
    found = settings.from_environment({**REQUIRED, "AGENTTYPE_OPERATOR_NATS_URL": "nats://store:4222"})
    assert found.children.nats_url == "nats://store:4222"


def test_a_store_is_vouched_for_by_the_certificates_that_are_given(tmp_path):
    certificate = Authority(tmp_path).certificate.read_text()
    found = settings.from_environment({**REQUIRED, "AGENTTYPE_OPERATOR_NATS_CA": certificate})
    assert found.children.nats_ca == certificate
    assert settings.from_environment(REQUIRED).children.nats_ca is None


def test_all_servers_of_a_cluster_can_be_named():
    url = "nats://a:4222,b:4222"
    assert settings.from_environment({**REQUIRED, "AGENTTYPE_OPERATOR_NATS_URL": url}).children.nats_url == url


def test_two_replicas_without_names_are_not_one():
    assert settings.from_environment({**REQUIRED, "AGENTTYPE_OPERATOR_POD_NAME": "a"}).identity == "a"
    assert settings.from_environment(REQUIRED).identity != "agenttype-operator"
