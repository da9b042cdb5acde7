"""What a made-up model reads and says: a pure function of its name and the prompt.

One whitespace-separated word is one token. A chat is rendered before it is counted, one block per message and one
open block for the answer, so a chat costs its words plus one per message plus one:

    <|im_start|>user
    How are you?<|im_end|>
    <|im_start|>assistant

A prompt steers the answer by marks in its text; the last of each kind holds:

    [[tokens=40]]      the answer is 40 tokens long, the end mark included (otherwise 16)
    [[say=any words]]  the answer is these words

When the caller offers tools, a mark in the last message makes the answer call one, after the words of a `say`:

    [[call=look_up {"id": 7}]]
"""

import hashlib
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

VOCABULARY = 49_152
END_ID = 2
DEFAULT_TOKENS = 16
_LENGTH = re.compile(r"\[\[tokens=(\d{1,7})\]\]")
_SAY = re.compile(r"\[\[say=(.*?)\]\]", re.DOTALL)
_CALL = re.compile(r"\[\[call=([\w.-]+) (\{.*?\})\]\]", re.DOTALL)
_NUMBER = re.compile(r"#\d{1,9}")
_WORDS = (
    *("amber", "anchor", "autumn", "basin", "birch", "bridge", "candle", "canyon", "cedar", "cinder", "cloud"),
    *("comet", "copper", "coral", "dawn", "delta", "ember", "fable", "falcon", "fern", "field", "flint"),
    *("forest", "garden", "glacier", "granite", "harbor", "hazel", "heron", "island", "ivory", "jasper"),
    *("juniper", "lantern", "larch", "linen", "lotus", "maple", "marble", "meadow", "mist", "moss", "north"),
    *("oak", "ocean", "olive", "opal", "orchard", "pebble", "pine", "prairie", "quartz", "raven", "reed"),
    *("ridge", "river", "saffron", "shore", "silver", "slate", "spruce", "thistle", "tide", "valley"),
)


@dataclass(frozen=True)
class CallPart:
    """What a token adds to a tool call: its name, or a piece of its arguments, or nothing that is told."""

    name: str = ""
    arguments: str = ""


@dataclass(frozen=True)
class Token:
    """One generated token; `finish` (stop, length) and `stop` (the matched string) are set on the last one."""

    text: str
    number: int
    finish: str | None = None
    stop: str | None = None
    call: CallPart | None = None


@dataclass(frozen=True)
class Wish:
    """What bounds an answer; lengths are in tokens, the end mark included."""

    max_tokens: int
    min_tokens: int = 0
    ignore_end: bool = False
    stop: tuple[str, ...] = ()
    keep_stop: bool = False
    may_call: bool = False


def words(text: str) -> list[str]:
    """The tokens of a text."""
    return text.split()


def count(text: str) -> int:
    """How many tokens a text is."""
    return len(text.split())


def numbers(text: str) -> list[int]:
    """The token ids of a text; the same word always has the same id."""
    return [_number(word) for word in text.split()]


def rendered(messages: Iterable[tuple[str, str]]) -> str:
    """The prompt that a chat of (role, text) becomes."""
    blocks = [f"<|im_start|>{role}\n{said}<|im_end|>\n" for role, said in messages]
    return "".join(blocks) + "<|im_start|>assistant\n"


def answer(model: str, prompt: str, wish: Wish, index: int = 0) -> tuple[Token, ...]:
    """The whole answer that `model` gives; its first word is the model's name, so a reader sees who spoke."""
    said = _SAY.findall(prompt)
    call = _CALL.search(_last_message(prompt)) if wish.may_call else None
    if call:
        tokens = _spoken(words(said[-1]) if said else [])
        return _bounded([*tokens, *_calling(call[1], call[2])], wish)
    script = words(said[-1]) if said else []
    natural = len(script) if said else _asked(prompt) - 1
    if wish.ignore_end:
        natural = wish.max_tokens
    length = min(max(natural, wish.min_tokens), wish.max_tokens)
    script = script or [model, *_made_up(model, prompt, index, length)]
    return _stopped(_bounded(_spoken([script[place % len(script)] for place in range(length)]), wish), wish)


def _spoken(script: list[str]) -> list[Token]:
    return [Token((" " if place else "") + word, _number(word)) for place, word in enumerate(script)]


def _bounded(tokens: list[Token], wish: Wish) -> tuple[Token, ...]:
    """The tokens with the silent end mark where the bound leaves room for it, else cut at the bound."""
    if len(tokens) < wish.max_tokens:
        return (*tokens, Token("", END_ID, "stop"))
    last = tokens[wish.max_tokens - 1]
    return (*tokens[: wish.max_tokens - 1], replace(last, finish="length"))


def _calling(name: str, arguments: str) -> list[Token]:
    """The tokens of a call; the marks around it are spoken but not told."""
    pieces = re.findall(r".{1,4}", arguments, re.DOTALL)
    parts = [CallPart(), CallPart(name=name), *(CallPart(arguments=piece) for piece in pieces), CallPart()]
    return [Token("", _number(part.name or part.arguments), call=part) for part in parts]


def _last_message(prompt: str) -> str:
    """What the answer answers; marks of earlier turns are history."""
    blocks = prompt.rsplit("<|im_start|>", 2)
    return blocks[-2] if len(blocks) > 1 else prompt


def _asked(prompt: str) -> int:
    asked = _LENGTH.findall(prompt)
    return max(1, int(asked[-1])) if asked else DEFAULT_TOKENS


def _made_up(model: str, prompt: str, index: int, length: int) -> list[str]:
    seed = hashlib.blake2b(f"{model}\0{prompt}\0{index}".encode(), digest_size=64).digest()
    return [_WORDS[(seed[place % 64] + place // 64) % len(_WORDS)] for place in range(length)]


def _stopped(tokens: tuple[Token, ...], wish: Wish) -> tuple[Token, ...]:
    """Cut at the first stop string; the token that completes it is generated and counted, as in vLLM."""
    if not wish.stop:
        return tokens
    spoken = ""
    for place, token in enumerate(tokens):
        spoken += token.text
        found = [(spoken.find(stop), stop) for stop in wish.stop if stop in spoken]
        if found and place >= wish.min_tokens:
            start, stop = min(found)
            kept = _clipped(tokens[: place + 1], start + len(stop) if wish.keep_stop else start)
            return (*kept[:-1], Token(kept[-1].text, token.number, "stop", stop))
    return tokens


def _clipped(tokens: tuple[Token, ...], end: int) -> list[Token]:
    kept, begin = [], 0
    for token in tokens:
        kept.append(replace(token, text=token.text[: max(0, end - begin)]))
        begin += len(token.text)
    return kept


def of_numbers(ids: Iterable[int]) -> str:
    """The text that stands for a prompt given as token ids: one word each, whose id is the same again."""
    return " ".join(f"#{number}" for number in ids)


def _number(word: str) -> int:
    if _NUMBER.fullmatch(word):
        return int(word[1:])
    return zlib.crc32(word.encode()) % (VOCABULARY - 100) + 100
