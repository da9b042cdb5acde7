"""The way of a tool call: which servers and tools the agent may use, and what passes between them.

Not here: calls to models (`llm`).
"""
