"""Constants of MCP: versions, header names, reserved members and error codes of both eras.

Until 2025-11-25 a client makes a handshake (`initialize`) and may be given a session; from 2026-07-28 on every request
names its client and version itself. Source: modelcontextprotocol.io/specification of both versions.
"""

from typing import Final

MODERN: Final = "2026-07-28"
HANDSHAKE: Final = "2025-11-25"
"""The newest version with a handshake."""
HANDSHAKES: Final = ("2024-11-05", "2025-03-26", "2025-06-18", HANDSHAKE)
SUPPORTED: Final = (MODERN, *reversed(HANDSHAKES))

VERSION: Final = b"mcp-protocol-version"
METHOD: Final = b"mcp-method"
NAME: Final = b"mcp-name"
SESSION: Final = b"mcp-session-id"
PARAMETER: Final = b"mcp-param-"

META_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
META_CLIENT: Final = "io.modelcontextprotocol/clientInfo"
META_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
META_SERVER: Final = "io.modelcontextprotocol/serverInfo"
META_PREFIX: Final = "io.modelcontextprotocol/"

# JSON-RPC's own codes, those of MCP, and one of the server range for what policy refuses.
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
HEADER_MISMATCH: Final = -32020
MISSING_CAPABILITY: Final = -32021
UNSUPPORTED_VERSION: Final = -32022
NO_SESSION: Final = -32001
REFUSED: Final = -32000
