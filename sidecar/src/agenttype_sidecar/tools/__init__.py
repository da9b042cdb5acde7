"""The way of a tool call: which servers and tools the agent may use, and what passes between them.

Its ways: one MCP server (`mcp`), all of them as one (`mcp_aggregate`), plain HTTP APIs (`http`).
Not here: calls to models (`llm`).
"""
