"""An MCP server over a small table: what is normal behaviour for which program.

Tools: lookup_norm(program), list_programs(), delete_norm(program).
Streamable HTTP on /mcp; GET /healthz.
"""

import csv
import os
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

TABLE = Path(__file__).with_name("norms.csv")


def read_table(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        return {row["program"]: row["norm"] for row in csv.DictReader(file)}


def build_server(norms: dict[str, str]) -> MCPServer:
    server = MCPServer("norms", instructions="Look up what is normal for a program before you judge its log.")

    @server.tool()
    def lookup_norm(program: str) -> str:
        """Say what is normal for a program, in one sentence."""
        if program not in norms:
            raise ToolError(f"no norm is known for {program!r}")
        return norms[program]

    @server.tool()
    def list_programs() -> list[str]:
        """List the programs that have a norm."""
        return sorted(norms)

    @server.tool()
    def delete_norm(program: str) -> str:
        """Forget a program's norm until this server starts again."""
        if norms.pop(program, None) is None:
            raise ToolError(f"no norm is known for {program!r}")
        return f"the norm of {program} is deleted"

    @server.custom_route("/healthz", methods=["GET"])
    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok", "programs": len(norms)})

    return server


if __name__ == "__main__":
    build_server(read_table(TABLE)).run(
        transport="streamable-http",
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(os.environ.get("PORT", "8080")),
        stateless_http=True,  # any replica answers any request
    )
