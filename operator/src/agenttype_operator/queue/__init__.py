"""Which object is reconciled next: a queue without duplicates, back-off per key, and the workers that empty it.

Belongs here: order, delay and concurrency. Does not belong here: what a reconcile does. Only `app` imports it, and
reconcilers for the result that they return.
"""
