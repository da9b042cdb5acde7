"""Providers outside are who their certificate says, or nothing is sent to them."""

import shutil
import time

import pytest
from agenttype_api import policy as api
from support.builders.certificates import Authority
from support.programs.sidecars import a_backend, a_chat, a_policy, a_route, sidecar
from support.servers.providers import provider
from support.waiting import until

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def another(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("another"), "another")


@pytest.fixture
def agent(tmp_path, authority):
    """Starts a sidecar whose only backend is at a URL; its policy names the authority's file."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    shutil.copy(authority.certificate, folder / "ca.pem")
    (folder / "key").write_text("a-key")

    def starting(url, ca_file="ca.pem"):
        backend = a_backend(
            url,
            protocols=(api.WireProtocol.OPENAI,),
            credential=api.Credential.API_KEY,
            credential_file="key",
            ca_file=ca_file,
        )
        return sidecar(
            a_policy(url, 100_000, backends=(backend,), routes=(a_route("*", model=None),)), credentials=folder
        )

    starting.folder = folder
    return starting


def test_a_provider_that_the_policys_authority_vouches_for_is_called(authority, agent):
    with provider("OpenAI", authority.server(), "localhost") as outside, agent(outside.url) as car:
        assert car.chat().status == 200
        assert car.chat(stream=True).status == 200
        assert outside.arrived[0].headers["authorization"] == "Bearer a-key"


@pytest.mark.parametrize(
    ("host", "days", "verdict"),
    [("elsewhere.test", 1, "it is for another host name"), ("localhost", -1, "it has expired")],
)
def test_a_certificate_that_does_not_hold_is_refused(authority, agent, host, days, verdict):
    with provider("OpenAI", authority.server(host, days), "localhost") as outside, agent(outside.url) as car:
        began = time.monotonic()
        answer = car.chat()
        assert (answer.status, answer.json["error"]["code"]) == (502, "certificate_refused")
        assert "certificate" in answer.json["error"]["message"]
        assert verdict in answer.json["error"]["message"]
        assert answer.headers["x-should-retry"] == "false"
        assert time.monotonic() - began < 20
        assert (outside.arrived, car.spent(), car.held()) == ([], 0, 0)


def test_a_server_that_vouches_for_itself_is_refused(another, agent):
    with provider("OpenAI", another.own(), "localhost") as outside, agent(outside.url) as car:
        answer = car.chat()
        assert (answer.status, "self-signed" in answer.json["error"]["message"]) == (502, True)
        assert outside.arrived == []


def test_a_private_authority_is_nobody_to_an_agent_whose_policy_names_none(authority, agent):
    with provider("OpenAI", authority.server(), "localhost") as outside, agent(outside.url, ca_file=None) as car:
        answer = car.chat()
        assert (answer.status, answer.json["error"]["code"]) == (502, "certificate_refused")
        assert outside.arrived == []


def test_a_server_that_speaks_no_tls_is_refused(agent):
    with provider("OpenAI") as outside, agent(outside.url.replace("http:", "https:")) as car:
        answer = car.chat()
        assert (answer.status, answer.json["error"]["code"]) == (502, "certificate_refused")


def test_an_authority_that_is_replaced_counts_at_once_and_the_former_no_longer(authority, another, agent):
    with provider("OpenAI", authority.server(), "localhost") as outside, agent(outside.url) as car:
        assert car.chat().status == 200
        shutil.copy(another.certificate, agent.folder / "ca.pem")
        until(lambda: car.chat().status == 502)
        shutil.copy(authority.certificate, agent.folder / "ca.pem")
        until(lambda: car.chat().status == 200)


def test_an_authority_that_cannot_be_read_sends_nothing(authority, agent):
    with provider("OpenAI", authority.server(), "localhost") as outside, agent(outside.url, "nothing.pem") as car:
        answer = car.post(CHAT, a_chat())
        assert (answer.status, answer.json["error"]["code"]) == (503, "credential_unavailable")
        assert outside.arrived == []
