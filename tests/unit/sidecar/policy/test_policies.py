import pytest
from agenttype_api import policy as api
from agenttype_sidecar.backends.credentials import Credentials
from agenttype_sidecar.errors import CredentialUnavailable, PolicyError
from agenttype_sidecar.policy.policies import Policies
from agenttype_sidecar.telemetry.metrics import Metrics
from support.programs.sidecars import a_backend, a_policy, write_policy
from support.waiting import until

URL = "http://shared.test"


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def policies(tmp_path, metrics):
    write_policy(tmp_path, a_policy(URL, 1000))
    return Policies(tmp_path / "policy.json", metrics)


def test_a_changed_document_is_swapped_in(policies, tmp_path):
    changed = a_policy(URL, 2000)
    write_policy(tmp_path, changed)
    assert policies.look()
    assert policies.report().policy_hash == changed.hash()
    assert not policies.look()


def test_a_config_map_that_swaps_its_link_is_noticed(tmp_path, metrics):
    for name, budget in (("one", 1000), ("two", 2000)):
        (tmp_path / name).mkdir()
        write_policy(tmp_path / name, a_policy(URL, budget))
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "policy.json").symlink_to("..data/policy.json")
    policies = Policies(tmp_path / "policy.json", metrics)
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert policies.look()
    assert policies.active.limits[0].max == 2000


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        '{"version":2}',
        api.document_json(a_policy(URL, 5)).replace('"version":1', '"version":1,"tomorrow":true'),
        api.document_json(a_policy(URL, 5)).replace('"backend":"shared"', '"backend":"nowhere"'),
        api.document_json(a_policy(URL, 5)).replace(URL, "ftp://shared.test"),
    ],
)
def test_a_document_that_cannot_be_used_keeps_the_old_one_and_is_reported(policies, tmp_path, metrics, document):
    before = policies.report()
    write_policy(tmp_path, document)
    assert not policies.look()
    assert policies.report().policy_hash == before.policy_hash
    assert policies.report().error
    assert b"agenttype_policy_reload_errors_total 1.0" in metrics.text()


def test_a_document_that_is_usable_again_clears_the_report(policies, tmp_path):
    write_policy(tmp_path, "{")
    policies.look()
    write_policy(tmp_path, a_policy(URL, 1000))
    assert not policies.look()
    assert policies.report().error == ""


def test_a_document_that_vanishes_keeps_the_old_one(policies, tmp_path):
    (tmp_path / "policy.json").unlink()
    assert not policies.look()
    assert "cannot be read" in policies.report().error


def test_there_is_no_start_without_a_policy(tmp_path, metrics):
    with pytest.raises(PolicyError, match="cannot be read"):
        Policies(tmp_path / "policy.json", metrics)


def test_the_pods_token_is_read_again_when_it_was_rotated(tmp_path):
    token = tmp_path / "token"
    token.write_text("one\n")
    credentials = Credentials(token, tmp_path)
    ours = a_backend(URL)
    assert credentials.headers(ours, api.WireProtocol.OPENAI) == [(b"authorization", b"Bearer one")]
    (tmp_path / "new").write_text("two\n")
    (tmp_path / "new").replace(token)
    until(lambda: credentials.headers(ours, api.WireProtocol.OPENAI) == [(b"authorization", b"Bearer two")])


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [(api.WireProtocol.OPENAI, (b"authorization", b"Bearer k")), (api.WireProtocol.ANTHROPIC, (b"x-api-key", b"k"))],
)
def test_an_api_key_is_sent_as_its_protocol_wants_it(tmp_path, protocol, expected):
    (tmp_path / "outside").write_text("k")
    backend = a_backend(URL, credential=api.Credential.API_KEY, credential_file="outside")
    assert Credentials(tmp_path / "token", tmp_path).headers(backend, protocol) == [expected]


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_call_without_a_credential_is_not_sent(tmp_path, content):
    if content is not None:
        (tmp_path / "token").write_text(content)
    with pytest.raises(CredentialUnavailable):
        Credentials(tmp_path / "token", tmp_path).headers(a_backend(URL), api.WireProtocol.OPENAI)
