r"""The digest of an adapter: content decides the name, so a version never changes under a name.

`cd FOLDER && find . -type f | sed 's|^./||' | LC_ALL=C sort | xargs sha256sum | sha256sum` prints the same value.
"""

import hashlib
from collections.abc import Iterable

SHORT: int = 12


def folder_digest(files: Iterable[tuple[str, str]]) -> str:
    """Return `sha256:<hex>` over the sorted lines `<sha256 hex>  <relative posix path>` of a folder's files.

    Args:
        files: pairs (relative posix path, sha256 hex of the file's bytes), in any order.
    """
    ordered = sorted(files, key=lambda item: item[0].encode())
    lines = "".join(f"{content}  {path}\n" for path, content in ordered)
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def short(digest: str) -> str:
    """Return the first 12 hex digits of a `sha256:<hex>` digest: what served names and folders carry."""
    return digest.removeprefix("sha256:")[:SHORT]
