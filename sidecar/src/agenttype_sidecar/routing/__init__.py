"""Which backend answers for the name of a model. Pure.

Not here: how the backend is reached (`backends`).
"""
