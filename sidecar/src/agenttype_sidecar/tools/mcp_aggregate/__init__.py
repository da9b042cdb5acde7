"""All MCP servers of a policy as one, at `/mcp`: one list of tools, one session, either era of the protocol.

Not here: the protocol itself and its peers (`mcp`).
"""
