"""`python -m agenttype_operator.auth_callout prepare | answer`: before the NATS server starts, and beside it."""

import argparse
import asyncio
import contextlib
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agenttype_api import keys
from agenttype_authn.token_reviews import ReviewLimits, TokenReviews
from agenttype_bus import nkey
from agenttype_bus.connection import Connection, ConnectionSettings
from agenttype_bus.nkey import KeyPair
from agenttype_runtime import json_log, probe_server, process

from agenttype_operator.auth_callout import server_config
from agenttype_operator.auth_callout.service import AuthCalloutService
from agenttype_operator.kube import client
from agenttype_operator.kube.token_reviews import TokenReviewClient
from agenttype_operator.metrics import Metrics

#: After a restart of the server every sidecar comes back within seconds.
_LIMITS: Final = ReviewLimits(at_once=32)
_ISSUER, _CALLOUT = "issuer.seed", "auth_callout.seed"


def main() -> int:
    """Prepare, or answer until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="agenttype_operator.auth_callout", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("verb", choices=("prepare", "answer"))
    add("--keys", type=Path, required=True, help="folder of our keys, which the server does not see")
    add("--config", type=Path, help="prepare: the server's settings file")
    add("--data", default="/data", help="prepare: the server's folder")
    add("--port", type=int, default=4222, help="where clients connect")
    add("--monitor-port", type=int, default=8222, help="prepare: where the server tells about itself, on loopback")
    add("--http-port", type=int, default=8080, help="answer: port of /readyz, /healthz and /metrics")
    options = parser.parse_args()
    json_log.set_up("auth-callout", os.environ.get("AGENTTYPE_AUTH_CALLOUT_LOG_LEVEL", "info"))
    if options.verb == "prepare":
        _prepare(options)
    else:
        asyncio.run(_answer(options))
    return 0


def _prepare(options: argparse.Namespace) -> None:
    """Make the keys, unless they are there, and write the settings."""
    issuer = _key(options.keys / _ISSUER, nkey.account_key)
    callout = _key(options.keys / _CALLOUT, nkey.user_key)
    text = server_config.server_config(
        nkey.public(issuer), nkey.public(callout), options.data, options.port, options.monitor_port
    )
    options.config.write_text(text)


def _key(path: Path, make: Callable[[bytes], KeyPair]) -> KeyPair:
    if not path.exists():
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(make(secrets.token_bytes(32)).seed)
    return nkey.from_seed(path.read_bytes())


async def _answer(options: argparse.Namespace) -> None:
    stop = process.stop_event()
    metrics = Metrics()
    api = client.KubeClient(await client.load_configuration(), "agenttype-auth-callout", lambda: False, metrics)
    service = AuthCalloutService(
        Connection(
            ConnectionSettings(
                url=f"nats://127.0.0.1:{options.port}",
                client="auth-callout",
                nkey_seed=(options.keys / _CALLOUT).read_text(),
            )
        ),
        issuer=nkey.from_seed((options.keys / _ISSUER).read_bytes()),
        reviews=TokenReviews(TokenReviewClient(api), keys.NATS_AUDIENCE, time.monotonic, _LIMITS),
    )
    server = await probe_server.serve(options.http_port, metrics.text, ready=lambda: service.ready)
    running = asyncio.create_task(service.run())
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
