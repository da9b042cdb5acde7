"""What the agent, the operator and people can see of a running sidecar. Read-only: nothing here decides anything.

There is no way to change the sidecar here; its policy is a file.
"""
