"""What the agent may spend: amounts, limits, what is held and spent, and where that is recorded.

All of it survives the process. Not here: whether a call waits, goes or is cut (`admission`), what a call looks like on
the wire (`llm`, `tools`), and how it is reported (`control`).
"""
