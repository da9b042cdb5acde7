"""Which requests carry a token that is worth a review."""

import pytest
from agenttype_authn import bearer
from agenttype_authn.errors import Unauthenticated


@pytest.mark.parametrize("value", ["Bearer a.b.c", "bearer a.b.c", "BEARER  a-_.b.c "])
def test_one_bearer_token_is_taken(value):
    assert bearer.token([(b"authorization", value.encode())]).endswith(".b.c")


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [b"Bearer a.b"],
        [b"Bearer a.b.c.d"],
        [b"Bearer a.b.c, Bearer d.e.f"],
        [b"Bearer a.b.c", b"Bearer d.e.f"],
        [b"Basic a.b.c"],
        [b"Bearer a.b.\xc3"],
        [b"Bearer " + b"a" * 9000 + b".b.c"],
    ],
)
def test_anything_else_is_no_token(values):
    with pytest.raises(Unauthenticated):
        bearer.token([(b"authorization", value) for value in values])
