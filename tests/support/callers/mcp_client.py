"""An unmodified MCP client: `python mcp_client.py URL TOOL ARGUMENTS_JSON` prints what it saw as one JSON line.

Runs in the example agents' own environment, with the official SDK and nothing of ours.
"""

import asyncio
import json
import sys

from mcp import Client, MCPError


async def main(url: str, tool: str, arguments: str) -> dict[str, object]:
    async with Client(url, read_timeout_seconds=60) as client:
        listed = await client.list_tools()
        seen: dict[str, object] = {"tools": sorted(found.name for found in listed.tools)}
        try:
            result = await client.call_tool(tool, json.loads(arguments))
        except MCPError as error:
            seen["refused"] = str(error)
        else:
            seen["text"] = result.content[0].text if result.content else None
        return seen


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))  # noqa: T201 — the result
