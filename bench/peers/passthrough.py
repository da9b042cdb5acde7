"""What one writes first: FastAPI before, httpx behind, every call passed on as it came; no policy.

`python passthrough.py UPSTREAM PORT`
"""

import contextlib
import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

UPSTREAM, PORT = sys.argv[1], int(sys.argv[2])
NOT_PASSED = {"host", "content-length", "connection", "transfer-encoding"}
client = httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None, max_keepalive_connections=512))


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the client at the end."""
    async with client:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """Say that calls are taken."""
    return {"status": "ok"}


@app.post("/{path:path}")
async def passed_on(path: str, request: Request) -> Response:
    """Pass a call on and its answer back."""
    headers = {name: value for name, value in request.headers.items() if name not in NOT_PASSED}
    outgoing = client.build_request("POST", f"{UPSTREAM}/{path}", headers=headers, content=await request.body())
    answer = await client.send(outgoing, stream=True)
    kept = {name: value for name, value in answer.headers.items() if name not in NOT_PASSED}
    if answer.headers["content-type"].startswith("text/event-stream"):
        return StreamingResponse(answer.aiter_raw(), answer.status_code, kept)
    return Response(await answer.aread(), answer.status_code, kept)


uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning", loop="uvloop", http="httptools", access_log=False)
