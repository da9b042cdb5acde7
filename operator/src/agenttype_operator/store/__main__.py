"""`python -m agenttype_operator.store prepare | answer`: before the NATS server starts, and beside it."""

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import sys
from pathlib import Path

import nkeys
from agenttype_api import keys

from agenttype_operator import cluster, http, json_log
from agenttype_operator.metrics import Metrics
from agenttype_operator.store import server_config, tokens
from agenttype_operator.store.doorkeeper import Doorkeeper

_ISSUER, _DOORKEEPER = "issuer.seed", "doorkeeper.seed"


def main() -> int:
    """Prepare, or answer until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="agenttype_operator.store", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("verb", choices=("prepare", "answer"))
    add("--keys", type=Path, required=True, help="folder of our keys, which the server does not see")
    add("--config", type=Path, help="prepare: the server's settings file")
    add("--data", default="/data", help="prepare: the server's folder")
    add("--port", type=int, default=4222, help="where clients connect")
    add("--monitor-port", type=int, default=8222, help="prepare: where the server tells about itself, on loopback")
    add("--http-port", type=int, default=8080, help="answer: port of /readyz, /healthz and /metrics")
    options = parser.parse_args()
    json_log.set_up(os.environ.get(keys.ENV_AUTH_CALLOUT + "LOG_LEVEL", "info").upper())
    if options.verb == "prepare":
        _prepare(options)
    else:
        asyncio.run(_answer(options))
    return 0


def _prepare(options: argparse.Namespace) -> None:
    """Make the keys, unless they are there, and write the settings."""
    issuer = _key(options.keys / _ISSUER, nkeys.PREFIX_BYTE_ACCOUNT)
    doorkeeper = _key(options.keys / _DOORKEEPER, nkeys.PREFIX_BYTE_USER)
    text = server_config.server_config(
        tokens.public(issuer), tokens.public(doorkeeper), options.data, options.port, options.monitor_port
    )
    options.config.write_text(text)


def _key(path: Path, kind: int) -> nkeys.KeyPair:
    if not path.exists():
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(tokens.key_pair(kind, secrets.token_bytes(32)).seed)
    return nkeys.from_seed(bytearray(path.read_bytes()))


async def _answer(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    api = cluster.Cluster(await cluster.configuration(), "agenttype-auth-callout", lambda: False, metrics)
    doorkeeper = Doorkeeper(
        url=f"nats://127.0.0.1:{options.port}",
        seed=(options.keys / _DOORKEEPER).read_text(),
        issuer=nkeys.from_seed(bytearray((options.keys / _ISSUER).read_bytes())),
        review=api.review,
    )
    server = await http.serve(options.http_port, metrics, ready=lambda: doorkeeper.ready)
    running = asyncio.create_task(doorkeeper.run())
    waiting = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await server.cleanup()
        await api.close()


if __name__ == "__main__":
    sys.exit(main())
