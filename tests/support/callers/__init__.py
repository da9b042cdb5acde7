"""Clients: raw bytes, MCP, and other people's SDKs in environments of their own."""
