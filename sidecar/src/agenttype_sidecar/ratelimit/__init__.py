"""How fast and how much at once an agent may call models: the rate limits of its policy, each pod for itself.

Pure where it decides (`token_bucket`); `rates` waits, counts and refuses. Not here: what a call may cost (`budget`).
"""
