"""Routes mistralai to the sidecar: it reads no variable for its server, and takes `server_url` in code only."""
# ruff: noqa: TID252 — the package has its absolute name only beside an agent

import inspect

from . import patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from ..calls import Calls


def install(module: "ModuleType", calls: "Calls") -> None:
    """Patch `Mistral.__init__`; a server URL of the user's own stays."""

    def build(original: "Any") -> "Any":
        parameters = inspect.signature(original)
        if "server_url" not in parameters.parameters:
            raise LookupError("Mistral takes no server_url")

        def __init__(self: "Any", *args: "Any", **kwargs: "Any") -> None:  # noqa: N807 — stands for the real one
            try:
                given = parameters.bind_partial(self, *args, **kwargs)
            except TypeError:  # the original says what is wrong with these arguments
                original(self, *args, **kwargs)
                return
            if given.arguments.get("server_url") is None:
                given.arguments["server_url"] = calls.sidecar.url
            original(*given.args, **given.kwargs)

        return __init__

    patch.replace(module.Mistral, "__init__", build)
