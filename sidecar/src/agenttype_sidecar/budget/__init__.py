"""What the agent may spend: amounts, limits, what is held and spent, and where that is written down.

Everything is recorded so that no death of the process forgets it. Not here: whether a call waits, goes or is cut
(`admission`), what a call looks like on the wire (`llm`, `tools`), and who is told about it (`control`).
"""
