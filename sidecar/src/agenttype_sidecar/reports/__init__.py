"""What others may see of a running sidecar: metrics, the control API, health. Nothing here decides anything.

Not here: a way to change what the sidecar does; its policy is a file.
"""
