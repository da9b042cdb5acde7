"""The gate asks a real API server about real ServiceAccount tokens."""

import base64
from pathlib import Path

import pytest
import yaml
from support import clusters
from support.programs.gates import a_gate_policy, caller, gate, write_policy
from support.programs.simulators import simulator

CHAT = "/v1/chat/completions"
BODY = {"model": "base", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
AUDIENCE = "--audience=agenttype.dev/gate"
NAMESPACE = "gate-reviews"


@pytest.fixture(scope="module")
def kubectl(kubeconfig_with_crds):
    config = Path(kubeconfig_with_crds)

    def run(*arguments):
        return clusters.kubectl(config, *arguments).strip()

    run("create", "namespace", NAMESPACE)
    run("create", "clusterrole", NAMESPACE, "--verb=create", "--resource=tokenreviews.authentication.k8s.io")
    run("create", "clusterrolebinding", NAMESPACE, f"--clusterrole={NAMESPACE}", f"--serviceaccount={NAMESPACE}:gate")
    for account in ("gate", "stranger", "green", "passing"):
        run("-n", NAMESPACE, "create", "serviceaccount", account)
    yield run
    run("delete", "clusterrolebinding", NAMESPACE)
    run("delete", "clusterrole", NAMESPACE)
    run("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module")
def token_of(kubectl):
    return lambda account, *more: kubectl("-n", NAMESPACE, "create", "token", account, *more)


@pytest.fixture(scope="module")
def cluster(kubeconfig_with_crds):
    return yaml.safe_load(Path(kubeconfig_with_crds).read_text())["clusters"][0]["cluster"]


@pytest.fixture(scope="module")
def authority(cluster, tmp_path_factory):
    file = tmp_path_factory.mktemp("api") / "ca.crt"
    file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    return file


@pytest.fixture(scope="module")
def start(cluster, authority, tmp_path_factory):
    place = tmp_path_factory.mktemp("gate")
    callers = [caller(f"{NAMESPACE}/{account}", "base") for account in ("green", "passing")]
    file = write_policy(place / "policy" / "gate.json", a_gate_policy(callers=callers))

    def starting(engine, own_token):
        (place / "token").write_text(own_token)
        options = {"api_server": cluster["server"], "api_token": place / "token", "api_ca": authority}
        return gate(file, engine.url, place, place, **options)

    return starting


@pytest.fixture(scope="module")
def door(start, token_of):
    with simulator() as engine, start(engine, token_of("gate")) as running:
        yield running.until_ready()


def test_a_token_for_the_gate_lets_its_account_in(door, token_of):
    assert door.post(CHAT, BODY, token_of("green", AUDIENCE)).status == 200


def test_a_token_for_the_api_server_is_refused(door, token_of):
    assert door.post(CHAT, BODY, token_of("green")).status == 401


def test_a_token_for_another_audience_is_refused(door, token_of):
    assert door.post(CHAT, BODY, token_of("green", "--audience=vault")).status == 401


def test_an_account_that_is_no_caller_is_known_and_refused(door, token_of):
    answer = door.post(CHAT, BODY, token_of("stranger", AUDIENCE))
    assert (answer.status, answer.headers["x-agenttype-reason"]) == (403, "caller_not_allowed")


def test_a_token_with_a_forged_signature_is_refused(door, token_of):
    head, claims, signature = token_of("green", AUDIENCE).split(".")
    assert door.post(CHAT, BODY, f"{head}.{claims}.{signature[::-1]}").status == 401


def test_a_token_of_a_deleted_account_is_refused(door, token_of, kubectl):
    token = token_of("passing", AUDIENCE)
    kubectl("-n", NAMESPACE, "delete", "serviceaccount", "passing")
    assert door.post(CHAT, BODY, token).status == 401


def test_a_gate_that_may_not_review_tokens_lets_nobody_in_fail_closed(start, token_of):
    with simulator() as engine, start(engine, token_of("stranger")) as helpless:
        answer = helpless.until_ready().post(CHAT, BODY, token_of("green", AUDIENCE))
        assert (answer.status, answer.headers["x-agenttype-reason"]) == (503, "token_review_unavailable")
        assert "403" in answer.json()["error"]["message"]
