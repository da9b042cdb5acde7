"""Runs a hook right after the agent has imported the module it is for.

The module is found and loaded as it would be without us. A hook that fails leaves the module as it
was loaded and a flaw in the state.
"""

import sys
from _thread import get_ident

from . import calls, environment, start, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, MutableMapping, Optional, Sequence


class HookedModules:
    """Finds and loads modules by the finders after ours, and tells their hooks."""

    def __init__(self, finder: "start.HookedImports", environ: "MutableMapping[str, str]", inherited: str) -> None:
        self._finder = finder
        self._url = environ[environment.LLM_SIDECAR_URL]
        self._state = state.State(environ, inherited)
        self._calls: "Optional[calls.Calls]" = None
        self._searching: "set[tuple[int, str]]" = set()

    def find_spec(
        self, name: str, path: "Optional[Sequence[str]]", target: "Optional[ModuleType]"
    ) -> "Optional[ModuleSpec]":
        """Return the spec that the finders after ours give, with a loader that calls the hook."""
        search = (get_ident(), name)
        if search in self._searching:  # a finder after ours asked all finders again
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
        finders = iter(list(sys.meta_path))
        for finder in finders:
            if finder is self._finder:
                break
        for finder in finders:  # those after ours; those before it have had their turn
            find_spec = getattr(finder, "find_spec", None)
            spec: "Optional[ModuleSpec]" = find_spec(name, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None

    def hook(self, name: str, module: "ModuleType") -> None:
        """Tell the hook that its module is there; never raises, or the agent's import would fail with it."""
        part = start.HOOKS[name]
        try:
            if self._calls is None:
                self._calls = calls.Calls(self._url, self._state)
            package = __import__(__package__ + ".hooks." + part, fromlist=["install"])
            package.install(module, self._calls)
        except BaseException as error:
            self._state.flaw(part, error)


class HookedLoader:
    """Loads as the loader it stands for, leaves that one in the module, then calls the hook."""

    def __init__(self, loader: "Any", modules: HookedModules) -> None:
        self._loader = loader
        self._modules = modules

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
        self._modules.hook(module.__name__, module)
