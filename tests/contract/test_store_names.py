"""The store as the sidecar uses it is the store as its auth callout makes it."""

import pytest
from agenttype_api import keys, policy, store_names
from agenttype_api.v1alpha1 import Resource, Scope, Window
from agenttype_operator.auth_callout import permissions
from agenttype_operator.auth_callout.permissions import Caller
from agenttype_sidecar.leases import nats_store, shares

ACCOUNTS = ["team-a.agent.green.cost", "team-a.budget.team.cost"]


def granted(subject):
    rights = permissions.permissions(Caller("team-a", "green")).publish
    return any(subject == right or (right.endswith(">") and subject.startswith(right[:-1])) for right in rights)


@pytest.mark.parametrize("window", store_names.SHARED)
@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_sidecar_may_what_it_does(window, account):
    limit = policy.Limit(
        name="x", resource=Resource.COST, max=1, window=window, scope=Scope.AGENT_TYPE, account=account
    )
    found = shares.account(limit, 7)
    counter, entry = nats_store._counter(found), nats_store._entry(found, shares.RETURNS)
    entries = store_names.entry_stream(window, "team-a")

    assert granted(counter)
    assert granted(entry)
    assert granted(f"$JS.API.DIRECT.GET.{store_names.counter_stream(window)}.{counter}")
    assert granted(f"$JS.API.DIRECT.GET.{entries}.{entry}")
    assert granted(f"$JS.API.DIRECT.GET.{entries}")


def test_the_store_s_token_is_for_the_store_alone():
    assert keys.NATS_AUDIENCE != keys.TOKEN_AUDIENCE
    assert Window.RUN not in store_names.SHARED
