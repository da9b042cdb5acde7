"""The front door of a model server, and the controller of its adapters.

Here belong: who may call which served name (a token review, a table, an allow-list of paths), the fair share of the
engine that each agent gets, and the loop that makes loaded adapters equal to wanted ones. How bytes travel belongs to
`agenttype_proxy`, whose a token is to `agenttype_authn`, what a gate document says to `agenttype_api`; budgets and
routes are the sidecar's. Nothing imports this room; it runs as a process beside an engine that binds loopback:
`python -m agenttype_gate`.

`adapter_plan`, `adapter_shapes`, `adapter_versions`, `allowed_paths`, `error_responses`, `model_in_body`,
`preflight` and `safetensors` are pure: no clock, no I/O. `adapter_store` alone touches adapter files, `engine` and
`front_proxy` alone talk to the engine, `api_server` alone to Kubernetes; `app` alone puts the parts together.
"""
