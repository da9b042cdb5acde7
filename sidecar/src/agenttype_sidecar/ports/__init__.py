"""What listens: the agent's port, the kubelet's, and the one for metrics and the control API.

Each port decides which part answers a path. Not here: what the answer is (`llm`, `tools`, `control`).
"""
