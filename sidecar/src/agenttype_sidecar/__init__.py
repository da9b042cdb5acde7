"""Policy at the pod: which calls leave the agent, under which name, and what they may cost.

Here belong the way of one call (admit, rewrite, forward, meter, settle), the budget and its ledger, the tool gateway,
the metrics, and the control API that shows them. How bytes travel belongs to `agenttype_proxy`, what a policy document
says to `agenttype_api`. Nothing imports this room; it runs as a process: `python -m agenttype_sidecar`.

`budget`, `body`, `routes`, `usage`, `paths`, `answers` and `activity` are pure: no clock, no I/O. `ledger` alone
writes, `upstream` alone opens connections, `app` alone puts the parts together.
"""
