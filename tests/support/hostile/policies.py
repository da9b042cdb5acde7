"""A policy under which every part of the sidecar works on every call, and refuses nothing of its own accord."""

from typing import Any

from agenttype_api import policy as api
from agenttype_api.v1alpha1 import RuleAction, RuleTarget

from support.programs.sidecars import a_policy


def a_full_policy(url: str, budget: int | None = 10**15, **members: Any) -> api.Policy:
    """A budget of tokens, rates, and a rule that looks at every message for what nobody says."""
    watching = api.Rule(
        name="never", applies_to=tuple(RuleTarget), matches="what-nobody-says[0-9]+", action=RuleAction.DENY
    )
    rates = api.RateLimits(requests_per_minute=10**9, max_concurrent=10**4)
    return a_policy(url, budget, rules=(watching,), rate_limits=rates, **members)
