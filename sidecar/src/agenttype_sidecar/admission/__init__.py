"""Whether a call may go: its highest possible cost is held before it is sent, and calls that must not go on are cut.

A call is seen here as a `Demand`; its content stays in `llm` and `tools`. Not here: what is left of a limit and where
that is recorded (`budget`).
"""
