"""The documentation as data: its pages, their paragraphs, their YAML, and what names fields."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Written from the models; its words are the models'.
GENERATED = ROOT / "docs/reference.md"
PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("examples/*/README.md")}
)


def name(page: Path) -> str:
    """Name of a page in a report."""
    return page.relative_to(ROOT).as_posix()


def without_code(text: str) -> str:
    """Return a page's text without fenced blocks and comments."""
    return re.sub(r"^```.*?^```|<!--.*?-->", "", text, flags=re.DOTALL | re.MULTILINE)


def paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs and list items of a page; tables and headings are none."""
    for block in re.split(r"\n\s*\n", without_code(text)):
        lines = [line for line in block.strip().splitlines() if not line.startswith(("|", "#"))]
        yield from (part for part in re.split(r"^(?:[-*]|\d+\.) ", "\n".join(lines), flags=re.MULTILINE) if part)


def anchors(text: str) -> set[str]:
    """Return what a link to a heading of a page can say behind '#'."""
    headings = re.findall(r"^#+ (.*)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
