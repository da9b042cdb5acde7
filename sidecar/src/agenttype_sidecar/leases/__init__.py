"""Limits that pods share: leased from NATS ahead of need, so that no call waits and nothing can be overspent.

`shares` says what NATS keeps and what fits, and `lease` takes the steps. `usage_rate` knows how an account is used,
`peers` who else has a part of it, `plan` how large a step is, and `manager` when it is due, in the words of `terms`.
`nats_store` is the only module that knows NATS, through `agenttype_bus`. What this pod has spent of a shared limit
belongs to `budget`.
"""
