"""What the sidecar uses of NATS is what the auth callout grants and makes."""

import pytest
from agenttype_api import keys, policy
from agenttype_api.v1alpha1 import Resource, Scope, Window
from agenttype_bus import permissions, streams
from agenttype_sidecar.leases import nats_store, shares

ACCOUNTS = ["team-a.agent.green.cost", "team-a.budget.team.cost"]
SHARED = [window for window in Window if window is not Window.RUN]


def granted(subject):
    rights = permissions.of_sidecar("team-a", "green").publish
    return any(subject == right or (right.endswith(">") and subject.startswith(right[:-1])) for right in rights)


@pytest.mark.parametrize("window", SHARED)
@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_sidecar_may_what_it_does(window, account):
    limit = policy.Limit(
        name="x", resource=Resource.COST, max=1, window=window, scope=Scope.AGENT_TYPE, account=account
    )
    found = nats_store._subjects(shares.account(limit, 7))
    counter, entry = found.counter, found.entry(shares.RETURNS)
    entries = streams.entry_stream(window, "team-a")

    assert granted(counter)
    assert granted(entry)
    assert granted(f"$JS.API.DIRECT.GET.{streams.counter_stream(window)}.{counter}")
    assert granted(f"$JS.API.DIRECT.GET.{entries}.{entry}")
    assert granted(f"$JS.API.DIRECT.GET.{entries}")


def test_every_window_but_the_run_of_one_pod_has_streams():
    assert {window.lower() for window in SHARED} == set(streams.WINDOWS)


def test_the_token_for_nats_is_for_nats_alone():
    assert keys.NATS_AUDIENCE != keys.TOKEN_AUDIENCE
