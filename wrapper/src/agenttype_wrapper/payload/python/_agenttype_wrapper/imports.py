"""Runs a hook right after the agent imports the module it is for; costs one dictionary look-up per other import.

The module is found and loaded by whoever would have done it without us. A hook that fails leaves the module as it
was loaded and a flaw in the state.
"""

import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Optional, Sequence

    from .calls import Calls
    from .state import State

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
    """A finder that stands first on sys.meta_path and finds nothing itself."""

    def __init__(self, sidecar_url: str, state: "State") -> None:
        self._url = sidecar_url
        self._state = state
        self._calls: "Optional[Calls]" = None
        self._searching: "set[tuple[int, str]]" = set()

    def find_spec(
        self, name: str, path: "Optional[Sequence[str]]" = None, target: "Optional[ModuleType]" = None
    ) -> "Optional[ModuleSpec]":
        """Return the spec that the finders after this one give, with a loader that calls the hook."""
        if name not in HOOKS:
            return None
        search = (get_ident(), name)
        if search in self._searching:  # a finder after us asked all finders again
            return None
        self._searching.add(search)
        try:
            spec = self._spec_of_others(name, path, target)
        finally:
            self._searching.discard(search)
        if spec is not None and hasattr(spec.loader, "exec_module") and hasattr(spec.loader, "create_module"):
            spec.loader = HookedLoader(spec.loader, self)  # type: ignore[assignment] # a loader by its methods
        return spec

    def _spec_of_others(
        self, name: str, path: "Optional[Sequence[str]]", target: "Optional[ModuleType]"
    ) -> "Optional[ModuleSpec]":
        for finder in sys.meta_path[_position(self) + 1 :]:
            find_spec = getattr(finder, "find_spec", None)
            spec: "Optional[ModuleSpec]" = find_spec(name, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None

    def hook_loaded(self) -> None:
        """Hook what was imported before the wrapper started."""
        for name in HOOKS:
            if name in sys.modules:
                self.hook(name, sys.modules[name])

    def hook(self, name: str, module: "ModuleType") -> None:
        """Tell the hook that its module is there; never raises, or the agent's import would fail with it."""
        part = HOOKS[name]
        try:
            if self._calls is None:
                from . import calls  # noqa: PLC0415 — nothing before the first hook needs it

                self._calls = calls.Calls(self._url, self._state)
            package = __import__(__package__ + ".hooks." + part, fromlist=["install"])
            package.install(module, self._calls)
        except BaseException as error:
            self._state.flaw(part, error)


class HookedLoader:
    """Loads as the loader it stands for, leaves that one in the module, then calls the hook."""

    def __init__(self, loader: "Any", finder: HookedImports) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._loader, name)

    def create_module(self, spec: "ModuleSpec") -> "Optional[ModuleType]":
        """Create as the real loader does."""
        module: "Optional[ModuleType]" = self._loader.create_module(spec)
        return module

    def exec_module(self, module: "ModuleType") -> None:
        """Execute as the real loader does; resources and sources are later asked from that one."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._finder.hook(module.__name__, module)


def _position(finder: HookedImports) -> int:
    for position, other in enumerate(sys.meta_path):
        if other is finder:
            return position
    return len(sys.meta_path)
