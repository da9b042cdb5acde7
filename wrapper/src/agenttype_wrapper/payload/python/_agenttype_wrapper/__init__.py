"""The wrapper as it runs inside the agent's own Python: import hooks that mark and route its calls.

Here belongs what environment variables alone cannot do. It fails open, decides nothing and is trusted with nothing;
it imports the standard library only, and at start as little of that as can be.
"""
