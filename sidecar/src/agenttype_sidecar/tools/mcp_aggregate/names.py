"""The names of tools in the list of all servers.

A tool is `<server>_<tool>`. Names of servers have no underscore, so the first one separates the two. The name does not
depend on other servers, means one tool, and can be split without any list. If it is not a name that every model's API
accepts (64 letters, digits, `_` or `-`), other characters are replaced, it is cut, and ten hexadecimal digits of the
hash of the tool's own name are appended. A tool whose own name ends like that gets them too, so that no tool can take
another's name.
"""

import hashlib
import re
from typing import Final, NamedTuple

LONGEST: Final = 64
_DIGITS: Final = 10
_PLAIN: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST}}}")
_MARKED: Final = re.compile(rf"_[0-9a-f]{{{_DIGITS}}}\Z")
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_-]")


class SplitName(NamedTuple):
    """A split name: `tool` is the server's own name for it, None if only the server's list can tell."""

    server: str
    tool: str | None


def aggregate_name(server: str, tool: str) -> str:
    """Return the name of a server's tool in the list of all servers; it is permanent and unique."""
    plain = f"{server}_{tool}"
    if _PLAIN.fullmatch(plain) and tool and not _MARKED.search(plain):
        return plain
    digits = hashlib.sha256(tool.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    room = LONGEST - len(server) - len(digits) - 2
    return f"{server}_{_FOREIGN.sub('_', tool)[:room]}_{digits}"


def split(name: str) -> SplitName | None:
    """Split a name; return None if it cannot be an aggregate name."""
    server, found, tool = name.partition("_")
    if not found or not tool or not _PLAIN.fullmatch(name):
        return None
    return SplitName(server, None if _MARKED.search(name) else tool)
