"""The wrapper: what the init container puts beside an unmodified agent, and the program that puts it there.

Here belong `payload/`, the tree that the agent sees under `/opt/agenttype`, and `install`, which copies and
checks it. Python and its standard library only, Python 3.8 or newer. No policy, no budget, nothing that the
sidecar would have to trust: an agent whose wrapper is off or broken runs as if it had none.
No other room may import this one, and it imports none.
"""
