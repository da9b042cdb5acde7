"""The operator: watches the kinds, plans child objects, applies and prunes them, reports conditions.

Layers from the top, each importing only what stands below it (`.importlinter` holds this):
`app`, and `auth_callout` as a program of its own > `reconcile` > `status` > `pods`, `desired`, `informer`, `queue` >
`kube` > `metrics`, `settings`.

Does not belong here: the meaning of a policy, shared names and strings (they are `agenttype_api`'s), and anything
that runs in a user's pod. Only its own entry points import it.
"""
