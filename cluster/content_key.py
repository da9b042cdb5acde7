"""The key of an image: the same for the same Dockerfile, context and arguments, so that nothing is built twice."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclasses.dataclass(frozen=True)
class Rule:
    """One line of a .dockerignore."""

    pattern: re.Pattern[str]
    included: bool


@dataclasses.dataclass(frozen=True)
class Ignore:
    """A .dockerignore: the last rule that matches a path, or a folder above it, decides."""

    rules: tuple[Rule, ...] = ()

    def excludes(self, path: str) -> bool:
        """Whether a path, relative to the context with `/` between its parts, is left out."""
        excluded = False
        for rule in self.rules:
            if rule.pattern.fullmatch(path):
                excluded = not rule.included
        return excluded

    @property
    def may_include_below(self) -> bool:
        """Whether a file below an excluded folder may be in: then no folder can be passed over."""
        return any(rule.included for rule in self.rules)


def parse(text: str) -> Ignore:
    """Read a .dockerignore's text."""
    rules = []
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        included = stripped.startswith("!")
        body = os.path.normpath(stripped.removeprefix("!").strip()).strip("/")
        rules.append(Rule(re.compile(f"{_expression(body)}(?:/.*)?", re.DOTALL), included))
    return Ignore(tuple(rules))


def ignore_file(dockerfile: Path, context: Path) -> Path | None:
    """The ignore file that applies: the Dockerfile's own before the context's."""
    candidates = (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore")
    return next((path for path in candidates if path.is_file()), None)


def of(dockerfile: Path, context: Path, arguments: Mapping[str, str]) -> str:
    """The key of an image; `arguments` are all build arguments, the base among them."""
    digest = hashlib.sha256(dockerfile.read_bytes())
    for name, value in sorted(arguments.items()):
        digest.update(f"\0argument {name}={value}".encode())
    rules = ignore_file(dockerfile, context)
    for path in files(context, parse(rules.read_text()) if rules else Ignore()):
        digest.update(f"\0{path.relative_to(context)}\0{path.lstat().st_mode:o}\0".encode())
        digest.update(bytes(path.readlink()) if path.is_symlink() else path.read_bytes())
    return digest.hexdigest()[:16]


def files(context: Path, ignore: Ignore) -> Iterator[Path]:
    """Every file and link of a context that is not ignored, in a fixed order."""
    for folder, folders, names in os.walk(context):
        here = Path(folder)
        kept = []
        for name in sorted(folders):
            path = here / name
            if path.is_symlink():
                names.append(name)
            elif ignore.may_include_below or not ignore.excludes(str(path.relative_to(context))):
                kept.append(name)
        folders[:] = kept
        for name in sorted(names):
            path = here / name
            if not ignore.excludes(str(path.relative_to(context))) and (path.is_symlink() or path.is_file()):
                yield path


def _expression(glob: str) -> str:
    """Docker's pattern as a regular expression: `*` stays within a part, `**` spans parts."""
    out, rest = "", glob
    while rest:
        if rest.startswith("**/"):
            out, rest = out + "(?:.*/)?", rest[3:]
        elif rest.startswith("**"):
            out, rest = out + ".*", rest[2:]
        elif found := re.match(r"\[\^?[^\]]+\]", rest):
            out, rest = out + found[0], rest[found.end() :]
        else:
            out, rest = out + {"*": "[^/]*", "?": "[^/]"}.get(rest[0], re.escape(rest[0])), rest[1:]
    return out
