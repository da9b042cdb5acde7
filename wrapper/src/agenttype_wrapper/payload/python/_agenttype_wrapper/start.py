"""Puts the import hooks in place; all else waits until the agent imports a library that has one."""

import sys

from . import environment, imports, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import MutableMapping


def begin(environ: "MutableMapping[str, str]") -> None:
    """Start the wrapper in this process; a second call does nothing."""
    if any(isinstance(finder, imports.HookedImports) for finder in sys.meta_path):
        return
    url = environ.get(environment.LLM_SIDECAR_URL)
    if not url:
        environ[environment.WRAPPER_STATE] = "idle"
        return
    mine = state.State(environ)
    finder = imports.HookedImports(url, mine)
    sys.meta_path.insert(0, finder)
    finder.hook_loaded()
    mine.publish()
