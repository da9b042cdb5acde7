"""Whether a call may go: what it can cost at most is held before it is sent, and what may not go on is cut.

A call shows itself as a `Demand`; what the call is about stays in `llm` and `tools`. Not here: what is left of a limit
and where that is written down (`budget`).
"""
