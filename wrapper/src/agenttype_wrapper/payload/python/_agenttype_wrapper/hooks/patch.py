"""Replaces a method once, keeping its name, signature and documentation."""

import functools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


def replace(owner: "Any", name: str, build: "Callable[[Any], Any]") -> None:
    """Put `build(original)` in place of a method; a module that is reloaded is not patched twice."""
    original = getattr(owner, name)
    if not hasattr(original, "__agenttype__"):
        replacement: "Any" = functools.wraps(original)(build(original))
        replacement.__agenttype__ = True
        setattr(owner, name, replacement)
