"""Limits that pods share: leased from a store ahead of need, so that no call waits and nothing can be overspent.

`shares` says what the store keeps and what fits, and `lease` takes the steps. `pace` knows how an account is used,
`company` who else has a part of it, `plan` how large a step is, and `leases` when it is due, in the words of `terms`.
`store` is the only module that speaks to NATS, and `shared` is what admission sees of all this.
What a call costs, and whether it may go, belongs to `budget`.
"""
