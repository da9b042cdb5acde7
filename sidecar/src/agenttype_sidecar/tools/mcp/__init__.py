"""The Model Context Protocol: `/mcp/<server>` is one server, less the tools that policy does not allow.

Not here: all servers as one (`merged`), APIs without MCP (`http`), what any call of a tool goes through (`tools`).
"""
