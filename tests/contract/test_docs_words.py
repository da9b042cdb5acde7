"""How the documentation is written: short paragraphs, common words."""

import re

import pytest
from support import pages

MOST_WORDS = 90
#: Words that we would not say to a colleague, or that stand for something with a name of its own; with what to say.
PLAIN = {
    "nobody": "no client, no one, nothing",
    "somebody": "someone, or who it is",
    "whoever": "who it is: a caller, a pod",
    "anew": "again",
    "thereof": "its",
    "whence": "from where",
    "hitherto": "so far",
    "doorkeeper": "auth callout",
    "keeper": "adapter controller",
    "the store": "NATS",
    "the books": "our token counts",
    "goes back in time": "is restored from an older backup",
    "for ever": "without end",
}
PAGES = [page for page in pages.PAGES if page != pages.GENERATED]


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_a_paragraph_has_at_most_ninety_words(page):
    long = [paragraph for paragraph in pages.paragraphs(page.read_text()) if len(paragraph.split()) > MOST_WORDS]

    assert long == []


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_the_words_are_common_ones(page):
    prose = re.sub(r"`[^`]*`", "", pages.without_code(page.read_text())).lower()
    found = [f"{word}: say {better}" for word, better in PLAIN.items() if re.search(rf"\b{word}\b", prose)]

    assert found == []
