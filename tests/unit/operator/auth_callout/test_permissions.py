"""Who connects to the store, from a TokenReview, and what follows from it."""

import base64
import json

import nkeys
import pytest
from agenttype_operator.auth_callout import nats_jwt, permissions, server_config
from agenttype_operator.auth_callout.permissions import Caller, Denied, Permissions

ISSUER = nats_jwt.key_pair(nkeys.PREFIX_BYTE_ACCOUNT, bytes(range(32)))


def a_review(username="system:serviceaccount:team-a:green", audiences=("agenttype.dev/nats",), **status):
    told = {"authenticated": True, "audiences": list(audiences), "user": {"username": username}, **status}
    return {"status": told}


def test_an_agent_is_known_by_its_service_account():
    assert permissions.caller(a_review()) == Caller("team-a", "green")


@pytest.mark.parametrize(
    "review",
    [
        {},
        a_review(authenticated=False),
        a_review(audiences=()),
        a_review(audiences=("agenttype.dev/gate",)),
        a_review("kubernetes-admin"),
        a_review("system:serviceaccount:team-a"),
        a_review("system:serviceaccount::green"),
        a_review("system:serviceaccount:team-a:"),
        a_review("system:serviceaccount:team-a:a.b"),
        a_review("system:serviceaccount:team-a:*"),
        a_review("system:serviceaccount:>:green"),
        a_review("system:serviceaccount:team-a:gr een"),
    ],
    ids=str,
)
def test_no_one_else_gets_in(review):
    with pytest.raises(Denied):
        permissions.caller(review)


def test_no_right_reaches_beyond_the_agent_and_its_namespace_s_budgets_but_looking_within_the_namespace():
    granted = permissions.permissions(Caller("team-a", "green"))
    looks = [subject for subject in granted.publish if subject.endswith("_team-a")]

    assert granted.subscribe == ("_INBOX_team-a_green.>",)
    assert {subject.rsplit("_", 2)[0] for subject in looks} == {"$JS.API.DIRECT.GET.AT_LEASE"}
    assert all(
        ".team-a.agent.green.>" in subject or ".team-a.budget.>" in subject
        for subject in granted.publish
        if subject not in looks
    )


def decoded(jwt):
    head, claims, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in jwt.split("."))
    return json.loads(head), json.loads(claims), signature


def test_an_answer_is_for_the_server_that_asked_and_signed_by_us():
    asked = nats_jwt.AuthorizationRequest("SERVER", "USER", "token", "host")

    jwt = nats_jwt.authorization_response(asked, {"error": "no"}, ISSUER, 7).decode()
    head, claims, signature = decoded(jwt)

    assert head == {"typ": "JWT", "alg": "ed25519-nkey"}
    assert (claims["aud"], claims["sub"], claims["iss"]) == ("SERVER", "USER", nats_jwt.public(ISSUER))
    assert claims["nats"]["error"] == "no"
    assert ISSUER.verify(jwt.rpartition(".")[0].encode(), signature)


def test_a_user_may_what_was_granted():
    _, claims, _ = decoded(
        nats_jwt.user_jwt(nats_jwt.AuthorizationRequest("S", "U", "t", "h"), Permissions(("a",), ("b",)), ISSUER, 7)
    )

    assert (claims["nats"]["pub"], claims["nats"]["sub"]) == ({"allow": ["a"]}, {"allow": ["b"]})
    assert (claims["aud"], claims["sub"]) == ("AGENTTYPE", "U")


@pytest.mark.parametrize("message", [b"", b"a.b", b"a.e30.c", b"a.W10.c", b"a.bnVsbA.c", b"a.!!.c"])
def test_a_message_that_is_no_question_is_told_apart(message):
    with pytest.raises(nats_jwt.UnreadableRequest):
        nats_jwt.authorization_request(message)


def test_the_server_asks_about_everything_but_the_auth_callout_and_writes_through():
    text = server_config.server_config("ISSUER", "KEEPER", "/data")

    assert "auth_callout { issuer: ISSUER, account: AGENTTYPE, auth_users: [ KEEPER ] }" in text
    assert "sync_interval: always" in text
    assert "http: 127.0.0.1:" in text
