"""Green reads log lines and says whether they look benign or suspicious.

POST /explain {"log": "sshd[7]: ..."}   -> {"verdict", "norm", "raw"}
POST /ask     {"question": "..."}       -> {"answer"}
GET  /healthz
"""

import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable

import httpx2
import uvicorn
from mcp import Client, MCPError
from openai import AsyncOpenAI, OpenAIError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Act = Callable[[str], Awaitable[dict[str, str | None]]]

EXPLAIN_MODEL = "gpt-4o-mini"
ASK_MODEL = "gpt-4o"

PROGRAM = re.compile(r"(?:^|\s)([A-Za-z][\w./-]*)(?:\[\d+\])?:\s")
VERDICT = re.compile(r"VERDICT:\s*(benign|suspicious)", re.IGNORECASE)


class Green:
    """The two things green can do, on one model client and one table of norms."""

    def __init__(self, llm: AsyncOpenAI, norms_url: str | None) -> None:
        self.llm = llm
        self.norms_url = norms_url

    async def explain(self, log: str) -> dict[str, str | None]:
        norm = await self.norm_for(log)
        prompt = f"Norm: {norm}\n{log}" if norm else log
        raw = ""
        stream = await self.llm.chat.completions.create(
            model=EXPLAIN_MODEL,
            messages=[{"role": "user", "content": prompt}],
            max_tokens=64,
            temperature=0,
            stream=True,
        )
        async for chunk in stream:
            raw += chunk.choices[0].delta.content or ""
        verdict = VERDICT.search(raw)
        return {"verdict": verdict[1].lower() if verdict else "unknown", "norm": norm, "raw": raw}

    async def ask(self, question: str) -> dict[str, str | None]:
        answer = await self.llm.chat.completions.create(
            model=ASK_MODEL,
            messages=[{"role": "user", "content": question}],
            max_tokens=96,
            temperature=0,
        )
        return {"answer": answer.choices[0].message.content}

    async def norm_for(self, log: str) -> str | None:
        """What is normal for the line's program; a help to the model, never a must."""
        program = PROGRAM.search(log)
        if not program or not self.norms_url:
            return None
        try:
            async with Client(self.norms_url, read_timeout_seconds=10) as norms:
                result = await norms.call_tool("lookup_norm", {"program": program[1]})
        except (MCPError, httpx2.HTTPError, ExceptionGroup) as error:
            while isinstance(error, ExceptionGroup):  # the MCP client's tasks fail in groups
                error = error.exceptions[0]
            log_line(tool="lookup_norm", program=program[1], error=type(error).__name__, detail=str(error))
            return None
        text = result.content[0].text if result.content else None
        log_line(tool="lookup_norm", program=program[1], found=not result.is_error)
        return None if result.is_error else text


def log_line(**fields: object) -> None:
    print(json.dumps({"agent": "green", **fields}), file=sys.stderr, flush=True)


def answering(field: str, act: Act) -> Callable[[Request], Awaitable[Response]]:
    """Make a route of a coroutine that takes one text field; a model error becomes a 502."""

    async def endpoint(request: Request) -> Response:
        try:
            text = (await request.json())[field]
        except (ValueError, KeyError, TypeError) as error:
            raise HTTPException(400, f'send JSON: {{"{field}": "..."}}') from error
        started = time.monotonic()
        status, body = 200, {}
        try:
            body = await act(text)
        except OpenAIError as error:
            kind, code = type(error).__name__, getattr(error, "code", None)
            status, body = 502, {"error": {"type": kind, "code": code, "message": str(error)}}
        took = round((time.monotonic() - started) * 1000)
        log_line(route=request.url.path, status=status, ms=took, **body.get("error", {}))
        return JSONResponse(body, status)

    return endpoint


async def healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def main() -> None:
    # The client finds OPENAI_BASE_URL and OPENAI_API_KEY by itself.
    green = Green(AsyncOpenAI(timeout=60), os.environ.get("NORMS_MCP_URL"))
    app = Starlette(
        routes=[
            Route("/explain", answering("log", green.explain), methods=["POST"]),
            Route("/ask", answering("question", green.ask), methods=["POST"]),
            Route("/healthz", healthz),
        ]
    )
    uvicorn.run(
        app,
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(os.environ.get("PORT", "8080")),
        log_level="warning",
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
