"""The way to a backend: our proof for it, who it must be, and patience with one that is away.

Not here: which backend answers for a name (`routing`), and anything that depends on what a call's body says.
"""
