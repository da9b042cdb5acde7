"""Puts one finder on sys.meta_path; all else waits until the agent imports a library that has a hook.

Small on purpose: an agent on a Python for which there is no bytecode compiles this at every start.
"""

import sys

from . import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import MutableMapping, Optional, Sequence

    from .hooked import HookedModules

HOOKS = {
    "aiohttp.client_reqrep": "aiohttp_request",
    "http.client": "http_client",
    "httpcore": "httpcore_pool",
    "httpcore2": "httpcore_pool",
    "huggingface_hub.inference._client": "huggingface_chat",
    "huggingface_hub.inference._generated._async_client": "huggingface_chat",
    "mistralai.client.sdk": "mistral_server",
    "mistralai.sdk": "mistral_server",
}
"""Module → the file in `hooks/` that is told when it has been loaded."""


class HookedImports:
    """A finder that costs other imports one look-up in a dictionary."""

    def __init__(self, environ: "MutableMapping[str, str]") -> None:
        self._environ = environ
        self._inherited = environ.get(environment.WRAPPER_STATE, "")
        self._modules: "Optional[HookedModules]" = None
        environ[environment.WRAPPER_STATE] = "active"

    def find_spec(
        self, name: str, path: "Optional[Sequence[str]]" = None, target: "Optional[ModuleType]" = None
    ) -> "Optional[ModuleSpec]":
        """Return the spec that others find for a module that has a hook, else None."""
        if name not in HOOKS:
            return None
        try:
            modules = self.modules()
        except BaseException as error:  # this is the agent's import: it goes on without a hook
            self._environ[environment.WRAPPER_STATE] = "degraded;hooked:" + type(error).__name__
            return None
        return modules.find_spec(name, path, target)

    def modules(self) -> "HookedModules":
        """Return what does the work, loaded when it is needed first."""
        if self._modules is None:
            from . import hooked  # noqa: PLC0415 — most short processes never need it

            self._modules = hooked.HookedModules(self, self._environ, self._inherited)
        return self._modules

    def catch_up(self) -> None:
        """Hook what was imported before the wrapper started, and take over what a failed parent left."""
        loaded = [name for name in HOOKS if name in sys.modules]
        if loaded or self._inherited.startswith("failed;"):
            for name in loaded:
                self.modules().hook(name, sys.modules[name])
            self.modules()


def begin(environ: "MutableMapping[str, str]") -> None:
    """Start the wrapper in this process; a second call does nothing."""
    if any(isinstance(finder, HookedImports) for finder in sys.meta_path):
        return
    if not environ.get(environment.LLM_SIDECAR_URL):
        environ[environment.WRAPPER_STATE] = "idle"
        return
    finder = HookedImports(environ)
    sys.meta_path.insert(0, finder)
    finder.catch_up()
