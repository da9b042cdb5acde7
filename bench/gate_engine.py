"""The cheapest engine that Python can be: lists one model, and answers prepared bytes to everything else.

`python bench/gate_engine.py` prints its port; see proxy_upstream.py for the answers.
"""

import asyncio

import proxy_upstream
from agenttype_proxy import loop

CARDS = b'{"object":"list","data":[{"id":"base","object":"model","root":"/models/base","parent":null}]}'
MODELS = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(CARDS), CARDS)


class Engine(proxy_upstream.Upstream):
    """One connection."""

    def data_received(self, data: bytes) -> None:
        """Answer the list of models, and streams on the path of completions."""
        if data.startswith(b"GET /v1/models "):
            self.transport.write(MODELS)
        else:
            super().data_received(data.replace(b"POST /v1/completions ", b"POST /burst ", 1))


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Engine, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    loop.run(main())
