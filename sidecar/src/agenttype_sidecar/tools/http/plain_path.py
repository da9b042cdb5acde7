"""Recognises paths that every server reads the same way. Pure.

A gateway allows the path that it reads; a server answers the path that it reads. Decoders, normalisers and matrix
parameters may make these differ, so a path that could mean two things is refused.
"""

import re
import unicodedata
from typing import Final
from urllib.parse import unquote_to_bytes

#: One segment: what RFC 3986 allows, without ";", which some servers take for the end of the segment.
_SEGMENT: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[0-9A-Fa-f]{2})+")
_ENCODED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
#: Bytes that, encoded, are a separator, an end or an escape to a server that decodes once more than others.
_TREACHEROUS: Final = frozenset(b'/\\;%?#"<>|\x7f') | frozenset(range(0x20))
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DOTS: Final = (".", "..")


def is_plain(path: str) -> bool:
    """Return whether a path, as written on the wire and starting with a slash, can be read in only one way.

    Not plain are dot segments, empty segments (except a slash at the end), semicolons, backslashes, encodings of
    separators, of escapes, of control characters and of letters that need none, what is not UTF-8, and what becomes any
    of these when Unicode is normalised.
    """
    if path == "/":
        return True
    return path.startswith("/") and all(map(_segment_is_plain, path.removeprefix("/").removesuffix("/").split("/")))


def _segment_is_plain(segment: str) -> bool:
    if _SEGMENT.fullmatch(segment) is None or segment in _DOTS:
        return False
    hidden = {int(digits, 16) for digits in _ENCODED.findall(segment)}
    if hidden & (_TREACHEROUS | _UNRESERVED):
        return False
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        return False
    folded = unicodedata.normalize("NFKC", text)
    return folded not in _DOTS and not (set(folded) - set(text)) & set("/\\;%?#")
