"""The way to a model's backend: which one answers for a name, our proof for it, and patience with one that is away.

Not here: anything that depends on what a call's body says.
"""
