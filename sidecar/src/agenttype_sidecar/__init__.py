"""Policy at the pod: which calls leave the agent, under which name, and what they may cost.

One folder per concern, each with its own paragraph. From the top; a folder imports only from those below it:

| folder | is |
|---|---|
| `app` | puts the parts together and runs them |
| `ports` | what listens: the agent's port, health, control |
| `control` | what others can see of a running sidecar |
| `llm`, `tools` | take one call to a model, or to a tool server, through its steps |
| `admission` | whether a call may go, and which running calls are cut |
| `backends` | reaching a backend: credentials, certificates, retries, breakers |
| `policy` | the document in use |
| `budget` | holds and records what calls cost |
| `telemetry` | counts, and remembers which rules applied |
| `rules` | what must not be said or done |
| `leases` | limits that pods share |
| `routing` | which backend answers for a model's name |
| `ratelimit` | how fast calls may be |

How bytes travel belongs to `agenttype_proxy`, what a policy document says to `agenttype_api`. No other room imports
this one; it runs as a process: `python -m agenttype_sidecar`.
"""
