"""The command `agenttype`: what a cluster would do with an agent, on the machine of its author.

Here belong reading manifests, starting the sidecar beside a command, and telling what came of it. What a policy says is
compiled by `agenttype_api`, exactly as the operator does it; the sidecar and the wrapper are run as processes and never
imported. Nothing imports this room.
"""
