"""Limits that pods share: leased from NATS ahead of need, so that calls do not wait and no limit is overspent.

`shares` says what NATS keeps and what fits, and `lease` takes the steps. `usage_rate` measures how an account is used,
`peers` knows the other holders, `plan` decides how large a step is, and `manager` when it is due. `lease_types` has
the times and results that they share. `nats_store` is the only module that knows NATS, through `agenttype_bus`. What
this pod has spent of a shared limit belongs to `budget`.
"""
