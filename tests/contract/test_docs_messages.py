"""The messages of conditions that docs/spec explains are those that the code writes."""

import ast
import re

import pytest
from support import pages

SOURCES = [file for room in ("crds", "operator", "gate") for file in pages.ROOT.glob(f"{room}/src/**/*.py")]
#: A pattern with fewer letters of its own would match anything.
LEAST_LETTERS = 6
ROW = re.compile(r"^\| `[A-Z]\w+` \| `([^`]+)` \|", re.MULTILINE)
MESSAGES = [
    (page, message)
    for page in sorted((pages.ROOT / "docs/spec").glob("*.md"))
    for message in sorted(set(ROW.findall(page.read_text())))
]


def pattern(node):
    """Return what a string in the code can look like, or None where it has too few letters."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parts = [node.value]
    elif isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
    else:
        return None
    if sum(character.isalpha() for part in parts if part for character in part) < LEAST_LETTERS:
        return None
    return "".join(".*" if part is None else re.escape(part) for part in parts)


@pytest.fixture(scope="module")
def written():
    """Every pattern that the code can write."""
    trees = (ast.parse(source.read_text()) for source in SOURCES)
    found = {one for tree in trees for node in ast.walk(tree) if (one := pattern(node))}
    return [re.compile(one, re.DOTALL) for one in found]


@pytest.mark.parametrize(
    ("page", "message"), MESSAGES, ids=[f"{page.stem}-{message[:40]}" for page, message in MESSAGES]
)
def test_a_message_on_the_page_is_one_that_the_code_writes(written, page, message):
    # What a pod, a folder or an API server adds in front is itself a message of the code.
    tails = [message, *(message[found.end() :] for found in re.finditer(": ", message))]

    assert any(one.fullmatch(tail) for tail in tails for one in written), pages.name(page)
