"""Programs that tests start as processes and end by their own ids: ours, NATS, the example agents.

What only answers them is in `servers`, what only calls them in `callers`.
"""
