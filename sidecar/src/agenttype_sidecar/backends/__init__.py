"""The way to a backend: our credential for it, its certificate, and retries while it is unreachable.

Not here: which backend answers for a name (`routing`), and anything that depends on a call's body.
"""
