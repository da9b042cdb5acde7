"""What a TokenReview asks, and whose token its answer says it is."""

import pytest
from agenttype_authn import review_object
from agenttype_authn.errors import ReviewUnavailable
from agenttype_authn.review_object import Rejected
from agenttype_authn.service_account import ServiceAccount

AUDIENCE = "agenttype.dev/gate"


def an_answer(username="system:serviceaccount:team-a:green", audiences=(AUDIENCE,), **status):
    told = {"authenticated": True, "audiences": list(audiences), "user": {"username": username}, **status}
    return {"status": told}


def test_a_token_is_asked_about_for_one_audience():
    assert review_object.request("a.b.c", AUDIENCE) == {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "a.b.c", "audiences": [AUDIENCE]},
    }


def test_a_token_stands_for_its_service_account():
    account = review_object.account(an_answer(), AUDIENCE)

    assert account == ServiceAccount("team-a", "green")
    assert str(account) == "team-a/green"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": {}},
        an_answer(authenticated=False),
        an_answer(authenticated="true"),
        an_answer(audiences=()),
        an_answer(audiences=("agenttype.dev/other",)),
        {"status": {"authenticated": True, "user": {"username": "system:serviceaccount:team-a:green"}}},
        {"status": {"authenticated": True, "audiences": f"{AUDIENCE}s"}},
        {"status": {"authenticated": True, "audiences": [AUDIENCE]}},
        an_answer(user="system:serviceaccount:team-a:green"),
        an_answer("kubernetes-admin"),
        an_answer("system:serviceaccount:team-a"),
        an_answer("system:serviceaccount::green"),
        an_answer("system:serviceaccount:team-a:"),
    ],
    ids=str,
)
def test_any_other_answer_rejects_the_token(answer):
    with pytest.raises(Rejected):
        review_object.account(answer, AUDIENCE)


def test_the_api_server_s_own_reason_is_kept_for_the_log():
    with pytest.raises(Rejected, match="token has expired"):
        review_object.account(an_answer(authenticated=False, error="token has expired"), AUDIENCE)


@pytest.mark.parametrize("answer", [None, [], "x", {}, {"status": None}, {"status": "Failure"}])
def test_what_is_no_answer_is_told_apart_from_a_no(answer):
    with pytest.raises(ReviewUnavailable):
        review_object.account(answer, AUDIENCE)
