"""The front door of a model server, and the keeper of its adapters.

Here belong: who may call which served name (a token review, a table, an allow-list of paths), the fair share of the
engine that each agent gets, and the loop that makes loaded adapters equal to wanted ones. How bytes travel belongs to
`agenttype_proxy`, what a gate document says to `agenttype_api`; budgets and routes are the sidecar's. Nothing imports
this room; it runs as a process beside an engine that binds loopback: `python -m agenttype_gate`.

`plan`, `preflight`, `safetensors`, `shapes`, `versions`, `paths`, `body`, `answers` and `bearer`
are pure: no clock, no I/O.
`shelf` alone touches adapter files, `engine` and `door` alone talk to the engine, `api_server` alone to Kubernetes;
`process` alone puts the parts together.
"""
