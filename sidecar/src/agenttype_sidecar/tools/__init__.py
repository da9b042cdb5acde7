"""Handles tool calls: which servers and tools the agent may use, and what passes between them.

A call reaches one MCP server (`mcp`), all of them as one (`mcp_aggregate`), or a plain HTTP API (`http`). Not here:
calls to models (`llm`).
"""
