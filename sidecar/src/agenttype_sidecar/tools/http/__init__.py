"""Plain HTTP APIs as tools, below `/tools/<name>`: methods and paths that policy allows.

Not here: MCP, which also travels over HTTP (`mcp`).
"""
