"""The first code in every Python process of the agent: start the wrapper, then the module that this one hides.

Parses on Python 2.7 and newer, starts the wrapper on 3.8 and newer. Whatever happens in the wrapper, the agent
starts, and nothing is printed unless AGENTTYPE_DEBUG=1; AGENTTYPE_WRAPPER_STATE tells what happened.
"""
# ruff: noqa: ANN001, ANN202, INP001, PLC0415 -- ASCII without annotations, for Python 2.7; imports cost start time

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # noqa: F401 -- used by type comments

_HERE = os.path.dirname(os.path.abspath(__file__))


def _start():
    # type: () -> None
    if os.environ.get("AGENTTYPE_WRAPPER", "").lower() == "off":
        os.environ["AGENTTYPE_WRAPPER_STATE"] = "off"
    elif sys.version_info >= (3, 8):
        from _agenttype_wrapper import start  # type: ignore[import-not-found]

        start.begin(os.environ)


def _confess(error):
    # type: (BaseException) -> None
    os.environ["AGENTTYPE_WRAPPER_STATE"] = "failed;" + type(error).__name__
    if os.environ.get("AGENTTYPE_DEBUG") == "1":
        import traceback

        sys.stderr.write("agenttype wrapper failed, the agent goes on without it:\n" + traceback.format_exc())


def _attempt(act, otherwise):
    # type: (Any, Any) -> Any
    """Do what the agent can do without; not even an exit of ours may end its process."""
    try:
        return act()
    except BaseException as error:
        try:
            return otherwise(error)
        except BaseException:
            return None


def _find_hidden():
    # type: () -> Any
    """Return how to run the sitecustomize that Python would have run without us, or None."""
    entries = [os.path.abspath(entry) for entry in sys.path]
    # Only what follows this directory, so that two copies of this file never load each other for ever.
    path = sys.path[entries.index(_HERE) + 1 :]
    if sys.version_info < (3, 0):
        import imp

        found = imp.find_module("sitecustomize", path)
        return lambda: sys.modules.pop("sitecustomize") and imp.load_module("sitecustomize", *found)
    for finder in sys.meta_path:
        spec = finder.find_spec("sitecustomize", path) if hasattr(finder, "find_spec") else None
        if spec is not None and spec.loader is not None:
            import _frozen_importlib  # importlib.util would cost milliseconds in every process

            module = _frozen_importlib.module_from_spec(spec)
            sys.modules["sitecustomize"] = module
            return lambda: spec.loader.exec_module(module)
    return None


_attempt(_start, _confess)
_hidden = _attempt(_find_hidden, lambda _: None)
if _hidden:
    _hidden()  # its errors are its own and go where they would have gone
