"""Policy at the pod: which calls leave the agent, under which name, and what they may cost.

One folder per concern, each with its own paragraph: `llm` walks a call to a model, `tools` a call to a tool server;
`rules` and `traffic` say what must not happen and how fast calls may be, `budget` holds and records what they cost,
`leases` shares limits with other pods, `backends` reaches the models, `reports` tells others. `policies` is the
document in use, `data` the port that the agent calls, `running` what can be cut, and `app` alone puts the parts
together. How bytes travel belongs to `agenttype_proxy`, what a policy document says to `agenttype_api`. Nothing imports
this room; it runs as a process: `python -m agenttype_sidecar`.
"""
