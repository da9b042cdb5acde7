"""The health port, for the kubelet's probes."""

from typing import Final

from agenttype_proxy import asgi

from agenttype_sidecar.control.observations import Lifecycle

_TEXT: Final = [(b"content-type", b"text/plain; charset=utf-8")]


class HealthPort:
    """Answers `/started`, `/readyz`, `/healthz`, and `/drain`, which may be called any number of times.

    This app starts only after the policy is loaded and the ledger replayed; before that, its port is closed.
    """

    def __init__(self, life: Lifecycle) -> None:
        self._life = life

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one HTTP exchange."""
        del receive
        status, text = self._answer(scope["path"])
        await asgi.respond(send, status, list(_TEXT), text)

    def _answer(self, path: str) -> tuple[int, bytes]:
        life = self._life
        match path:
            case "/healthz":
                return 200, b"alive\n"
            case "/started":
                return (200, b"started\n") if life.ready else (503, b"starting\n")
            case "/readyz":
                if life.draining:
                    return 503, b"draining\n"
                return (200, b"ready\n") if life.ready else (503, b"starting\n")
            case "/drain":
                # Calls are still answered: the agent is ending, and its last calls matter as much as its first.
                life.draining = True
                return 200, b"draining\n"
            case _:
                return 404, b"nothing here\n"
