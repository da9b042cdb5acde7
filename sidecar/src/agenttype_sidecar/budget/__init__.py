"""What the agent may spend: decided before a call is sent, recorded so that no death of the process forgets it.

Belongs here: amounts, limits, what is held and spent, and where that is written down. Not here: what a call looks like
on the wire (`llm`, `tools`), and who is told about it (`reports`).
"""
