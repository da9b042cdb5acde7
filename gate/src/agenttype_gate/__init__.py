"""The front proxy of a model server, and the controller of its adapters.

Here belong the checks which agent may call which served name (token review, caller table, allow-list of paths), the
fair share of the engine for each agent, and the loop that makes loaded adapters equal to wanted ones. How bytes travel
belongs to `agenttype_proxy`, whose a token is to `agenttype_authn`, what a gate document says to `agenttype_api`;
budgets and routes are the sidecar's. No other room imports this one; it runs as a process beside an engine that binds
loopback: `python -m agenttype_gate`.

`adapter_plan`, `adapter_shapes`, `adapter_versions`, `allowed_paths`, `error_responses`, `model_in_body`,
`preflight` and `safetensors` are pure: no clock, no I/O. Only `adapter_store` touches adapter files, only `engine` and
`front_proxy` talk to the engine, only `api_server` to Kubernetes; `app` puts the parts together.
"""
