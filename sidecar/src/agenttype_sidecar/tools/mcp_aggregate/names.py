"""Names of tools where those of several servers stand in one list.

A tool is `<server>_<tool>`. Names of servers have no underscore, so the first one parts the two: whatever another
server is called and offers, the name stays, means one tool, and is read back without any list. Where that would not
be a name that every model's API takes (64 letters, digits, `_` or `-`), what does not fit is replaced and cut, and ten
hexadecimal digits of the tool's own name end it; a tool whose name ends like that by itself gets them too, so that no
tool can take another's name.
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
    """A name, taken apart: `tool` is the server's own name for it, None where only the server's list can tell."""

    server: str
    tool: str | None


def aggregate_name(server: str, tool: str) -> str:
    """Return the name of a server's tool in the list of all: the same for ever, and no other tool's."""
    plain = f"{server}_{tool}"
    if _PLAIN.fullmatch(plain) and tool and not _MARKED.search(plain):
        return plain
    digits = hashlib.sha256(tool.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    room = LONGEST - len(server) - len(digits) - 2
    return f"{server}_{_FOREIGN.sub('_', tool)[:room]}_{digits}"


def split(name: str) -> SplitName | None:
    """Take a name apart; return None where it cannot be one of ours."""
    server, found, tool = name.partition("_")
    if not found or not tool or not _PLAIN.fullmatch(name):
        return None
    return SplitName(server, None if _MARKED.search(name) else tool)
