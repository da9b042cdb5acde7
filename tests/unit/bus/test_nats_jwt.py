"""How the NATS server is told who a connection is."""

import base64
import json

import pytest
from agenttype_bus import nats_jwt, nkey
from agenttype_bus.errors import UnreadableRequest
from agenttype_bus.permissions import Permissions

ISSUER = nkey.account_key(bytes(range(32)))


def decoded(jwt):
    head, claims, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in jwt.split("."))
    return json.loads(head), json.loads(claims), signature


def test_an_answer_is_for_the_server_that_asked_and_signed_by_us():
    asked = nats_jwt.AuthorizationRequest("SERVER", "USER", "token", "host")

    jwt = nats_jwt.authorization_response(asked, {"error": "no"}, ISSUER, 7).decode()
    head, claims, signature = decoded(jwt)

    assert head == {"typ": "JWT", "alg": "ed25519-nkey"}
    assert (claims["aud"], claims["sub"], claims["iss"]) == ("SERVER", "USER", nkey.public(ISSUER))
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
    with pytest.raises(UnreadableRequest):
        nats_jwt.authorization_request(message)
