"""The digest of an adapter folder: `digests.py` checks digests.json, `digests.py --write` renews it.

A digest is the SHA-256 over the text `<sha256 of file>  <path>\\n` of all regular files, ordered by path bytes; in a
shell, inside the folder: `find . -type f | sed 's|^\\./||' | LC_ALL=C sort | xargs sha256sum | sha256sum`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ADAPTERS = ("green", "red")


def digest(folder: Path) -> str:
    """Return `sha256:<hex>` of the folder's files."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    lines = "".join(
        f"{hashlib.sha256(files[name].read_bytes()).hexdigest()}  {name}\n" for name in sorted(files, key=str.encode)
    )
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def write() -> None:
    """Renew digests.json."""
    found = {name: digest(HERE / name) for name in ADAPTERS if (HERE / name).is_dir()}
    (HERE / "digests.json").write_text(json.dumps(found, indent=2) + "\n")


def main() -> None:
    if sys.argv[1:] == ["--write"]:
        write()
    wanted = json.loads((HERE / "digests.json").read_text())
    for name in ADAPTERS:
        found = digest(HERE / name)
        print(f"{name} {found} {'ok' if wanted.get(name) == found else 'DIFFERS from digests.json'}")
        if wanted.get(name) != found:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
