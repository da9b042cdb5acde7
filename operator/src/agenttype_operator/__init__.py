"""The operator: watches the kinds, plans with pure builders, applies, prunes, reports.

Belongs here: the kopf shell, leadership, the queue, the cache, the pure builders of child objects (`desired/`), the
one module that talks to the API server (`cluster`), the one that asks pods (`observe`), and conditions.
Does not belong here: the meaning of a policy, shared names and strings (they are `agenttype_api`'s), and anything
that runs in a user's pod. Nothing but its own entry point imports it.
"""
