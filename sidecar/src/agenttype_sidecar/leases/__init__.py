"""Limits that pods share: leased from a store ahead of need, so that no call waits and nothing can be overspent.

`shares` says what the store keeps and what fits, `lease` takes the steps, `plan` how large they are, `leases` when, in
the words of `terms`; `store` is the only module that speaks to NATS, and `shared` is what admission sees of all this.
What a call costs, and whether it may go, belongs to `budget`.
"""
