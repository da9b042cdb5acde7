"""What the cluster holds now: listed, watched, cached, and listed again where an event was lost.

Belongs here: kopf, the cache, and the rule which objects depend on a change. Does not belong here: what follows from
a change; the queue and `reconcile/` decide that. Reconcilers and the status writer import it.
"""
