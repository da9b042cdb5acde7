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


def install(module: "ModuleType", calls: "Calls") -> None:
    """Patch `chat_completion`, which `chat.completions.create` is another name of."""

    def build(original: "Any") -> "Any":
        def chat_completion(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
            return original(_route(self, kwargs, calls), *args, **kwargs)

        return chat_completion

    def build_async(original: "Any") -> "Any":
        async def chat_completion(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
            return await original(_route(self, kwargs, calls), *args, **kwargs)

        return chat_completion

    if hasattr(module, "InferenceClient"):
        patch.replace(module.InferenceClient, "chat_completion", build)
    if hasattr(module, "AsyncInferenceClient"):
        patch.replace(module.AsyncInferenceClient, "chat_completion", build_async)


def _route(client: "Any", kwargs: "dict[str, Any]", calls: "Calls") -> "Any":
    """Return the client to call with; the URL is read from the client, the model's name from the argument."""
    model = kwargs.get("model") or client.model
    if _is_url(client.model) or _is_url(model):  # a server of the user's own
        return client
    kwargs["model"] = model
    routed = copy.copy(client)  # threads may share the client
    routed.model = calls.sidecar.url
    return routed


def _is_url(model: "Any") -> bool:
    return isinstance(model, str) and model.startswith(("http://", "https://"))
