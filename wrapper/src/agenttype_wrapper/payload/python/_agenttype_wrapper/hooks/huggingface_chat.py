"""Routes chats of huggingface_hub's InferenceClient to the sidecar: it reads no variable for its endpoint.

Chats only: other tasks speak protocols of their own, which the sidecar does not serve.
A `json_schema` response format arrives as this client writes it for any URL: `{"type": "json_object", "value": …}`.
"""
# ruff: noqa: TID252 — the package has its absolute name only beside an agent

import copy

from . import patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from ..calls import Calls

CLIENTS = ("InferenceClient", "AsyncInferenceClient")


def install(module: "ModuleType", calls: "Calls") -> None:
    """Patch `chat_completion`, which `chat.completions.create` is another name of."""

    def build(original: "Any") -> "Any":
        def chat_completion(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
            model = kwargs.get("model")
            if _is_url(self.model) or _is_url(model):  # a server of the user's own
                return original(self, *args, **kwargs)
            # The URL is read from the client, the name from the argument. Threads may share the client: copy it.
            routed = copy.copy(self)
            routed.model = calls.sidecar.url
            kwargs["model"] = model or self.model
            return original(routed, *args, **kwargs)

        return chat_completion

    for name in CLIENTS:
        if hasattr(module, name):
            patch.replace(getattr(module, name), "chat_completion", build)


def _is_url(model: "Any") -> bool:
    return isinstance(model, str) and model.startswith(("http://", "https://"))
