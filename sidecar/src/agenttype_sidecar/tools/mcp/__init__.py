"""The Model Context Protocol: `/mcp/<server>` is one server, without the tools that policy does not allow.

Not here: all servers as one (`mcp_aggregate`), APIs without MCP (`http`), the steps of every tool call (`tools`).
"""
