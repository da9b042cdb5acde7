"""What the agent, the operator and people may see of a running sidecar. Read-only: nothing here decides anything.

Not here: a way to change what the sidecar does; its policy is a file.
"""
