"""The rules of one policy, and what they say of a message. Pure: the clock is passed in.

A rule applies when everything that it says holds. All rules that apply are noted; the strictest action decides.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import re2  # type: ignore[import-untyped]  # it comes without types
from agenttype_api.policy import Rule
from agenttype_api.v1alpha1 import RuleAction, RuleTarget
from agenttype_proxy.sse import Event

from agenttype_sidecar.errors import PolicyError
from agenttype_sidecar.routing import globs
from agenttype_sidecar.rules import texts, windows
from agenttype_sidecar.rules.windows import Windows

_MINUTE: Final = 60.0
_ANYWHERE: Final = re2._Anchor.UNANCHORED  # noqa: SLF001 — see `_Pattern`
_NOWHERE: Final = (-1, -1)
#: What asks where a text begins or ends. The mark of a class of other characters only looks like it.
_EDGES: Final = re.compile(r"(?<!\\)\[\^|([$^]|\\[Az])")
#: Letters that an expression begins with, as long as none of them may be missing.
_BEGINNING: Final = re.compile(r"[A-Za-z0-9 _-]+(?![?*+{])")
_STRICTNESS: Final = {RuleAction.WARN: 0, RuleAction.DENY: 1, RuleAction.STOP_AGENT: 2}


class Message(NamedTuple):
    """What a rule can ask of a message.

    Attributes:
        on: What it is.
        names: What the rule's glob is held against: the model's name as the agent wrote it, or the tool's name with
            and without `<server>/`.
        size: Its bytes; 0 for a stream, whose bytes are counted as they come.
        texts: Returns all its texts; called only where a pattern asks for them. Nothing for a stream.
    """

    on: RuleTarget
    names: tuple[str, ...]
    size: int = 0
    texts: Callable[[], Iterable[str]] = tuple


class Verdict(NamedTuple):
    """The rules that apply, in the policy's order."""

    rules: tuple[Rule, ...] = ()

    @property
    def decisive(self) -> Rule:
        """The strictest rule, of several the first; only where there are any."""
        return max(self.rules, key=lambda rule: _STRICTNESS[rule.action])

    @property
    def denies(self) -> bool:
        """Whether the message may not pass."""
        return any(rule.action is not RuleAction.WARN for rule in self.rules)

    @property
    def stops(self) -> bool:
        """Whether the agent must stop."""
        return any(rule.action is RuleAction.STOP_AGENT for rule in self.rules)


#: Nothing applies.
PASS: Final = Verdict()


class Rulebook:
    """The rules of one policy, compiled."""

    def __init__(self, rules: Iterable[Rule], former: "Rulebook | None" = None) -> None:
        """Compile the rules.

        Args:
            rules: those of the policy, in order.
            former: the rulebook in use until now; rules that stay as they are go on counting.

        Raises:
            PolicyError: RE2 cannot read a pattern.
        """
        counted = {entry.rule: entry.rate for entry in former.entries} if former else {}
        #: One per rule; read by the rulebook that follows.
        self.entries: tuple[_Entry, ...] = tuple(_Entry(rule, counted.get(rule)) for rule in rules)
        self._on = {on: tuple(entry for entry in self.entries if on in entry.rule.applies_to) for on in RuleTarget}
        self._any = {on: _any(entries) for on, entries in self._on.items()}

    def looks_at(self, on: RuleTarget) -> bool:
        """Return whether any rule asks for such messages; where not, there is no need to build one."""
        return bool(self._on[on])

    def judge(self, message: Message, now: float) -> Verdict:
        """Return the rules that apply to a message that is all there.

        Args:
            message: the message.
            now: seconds of any clock that only goes forward.
        """
        asked = [entry for entry in self._on[message.on] if entry.concerns(message) and entry.is_passed(message.size)]
        if not asked:
            return PASS
        missing = [entry for entry in asked if entry.pattern is not None]
        if missing:
            any_of_them = self._any[message.on]
            for text in _suspect(message.texts(), any_of_them):
                for content in windows.whole(text):
                    if any_of_them is None or any_of_them.is_in(content):
                        missing = _still_missing(missing, content)
                if not missing:
                    break
            asked = [entry for entry in asked if entry not in missing]
        return _verdict(asked, now) if asked else PASS

    def watch(self, message: Message, now: float) -> "Watcher | None":
        """Return what watches a streamed answer, None where no rule concerns it.

        Args:
            message: what is known of the answer before it begins.
            now: as in `judge`.
        """
        asked = [entry for entry in self._on[message.on] if entry.concerns(message)]
        return Watcher(asked, self._any[message.on], now) if asked else None


class Watcher:
    """Holds one streamed answer against the rules that concern it, event by event.

    A text is searched as far as it has come, with up to `windows.WINDOW` bytes of what came before in its channel;
    for a pattern that asks for the end of the text ("$"), that is where it has come to. Each rule applies once.
    """

    def __init__(self, entries: "list[_Entry]", any_of_them: "_Pattern | None", now: float) -> None:
        self._any = any_of_them
        self._now = now
        self._size = 0
        self._waiting = entries
        self._missing = [entry for entry in entries if entry.pattern is not None]
        self._windows = Windows()

    def passed(self, event: Event) -> Verdict:
        """Return the rules that apply from this event on; where they deny, the event must not be passed on."""
        if not self._waiting:
            return PASS
        self._size += len(event.raw)
        if self._missing and event.data:
            self._search(event.data)
        ready = [entry for entry in self._waiting if entry not in self._missing and entry.is_passed(self._size)]
        if not ready:
            return PASS
        self._waiting = [entry for entry in self._waiting if entry not in ready]
        return _verdict(ready, self._now)

    def _search(self, data: bytes) -> None:
        for piece in texts.of_event(data):
            for stretch in self._windows.stretches(piece):
                if self._any is None or self._any.is_in(*stretch):
                    self._missing = _still_missing(self._missing, *stretch)


class _Pattern:
    """An expression of RE2.

    Asks the compiled half of its package directly, whose other half makes a generator and a match for every search;
    and not even that where the letters are missing that each of its alternatives begins with.
    """

    __slots__ = ("_beginnings", "_match", "has_edges")

    def __init__(self, *alternatives: str) -> None:
        several = len(alternatives) > 1
        expression = "|".join(f"(?:{each})" for each in alternatives) if several else alternatives[0]
        beginnings = [_beginning(each) for each in alternatives]
        self._beginnings = beginnings if all(beginnings) else []
        self.has_edges = any(_EDGES.findall(expression))
        options = re2.Options()
        options.log_errors = False  # they would quote the pattern, and the text with it
        options.never_capture = True  # where it is found is nobody's concern
        self._match: Any = re2.compile(expression, options)._regexp.Match  # noqa: SLF001 — see above

    def is_in(self, content: bytes, start: int = 0) -> bool:
        for beginning in self._beginnings:
            if content.find(beginning, start) >= 0:
                break
        else:
            if self._beginnings:
                return False
        found: list[tuple[int, int]] = self._match(_ANYWHERE, content, start, len(content))
        return found[0] != _NOWHERE


class _Entry:
    """One rule, compiled."""

    __slots__ = ("_names", "pattern", "rate", "rule")

    def __init__(self, rule: Rule, rate: "_Rate | None") -> None:
        self.rule = rule
        self.pattern = _pattern(rule)
        asked = [glob for glob in (rule.model, rule.tool) if glob is not None]
        self._names = globs.glob(asked) if asked else None
        if rate is None and rule.more_per_minute is not None:
            rate = _Rate(rule.more_per_minute)
        self.rate = rate

    def concerns(self, message: Message) -> bool:
        return self._names is None or any(map(self._names.fullmatch, message.names))

    def is_passed(self, size: int) -> bool:
        """Return whether a message is as large as the rule asks."""
        return self.rule.more_than_bytes is None or size > self.rule.more_than_bytes

    def finds(self, content: bytes, start: int) -> bool:
        return self.pattern is not None and self.pattern.is_in(content, start)


class _Rate:
    """Counts messages of the last minute, no more of them than it must."""

    __slots__ = ("_most", "_times")

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: deque[float] = deque(maxlen=most + 1)

    def is_passed(self, now: float) -> bool:
        """Count a message, and return whether it is one too many."""
        times = self._times
        while times and times[0] <= now - _MINUTE:
            times.popleft()
        times.append(now)
        return len(times) > self._most


def _verdict(entries: Iterable[_Entry], now: float) -> Verdict:
    """Return what is left once the rates are asked: they count what is otherwise as the rule says."""
    return Verdict(tuple(entry.rule for entry in entries if entry.rate is None or entry.rate.is_passed(now)))


def _suspect(found: Iterable[str], any_of_them: _Pattern | None) -> Iterable[str]:
    """Return the texts in which something may be found: mostly few, which one search in all of them together tells."""
    if any_of_them is None or any_of_them.has_edges:
        return found
    plain: list[str] = []
    escaped: list[str] = []
    for text in found:
        (escaped if "\\" in text else plain).append(text)
    return plain + escaped if any_of_them.is_in(windows.encoded("\0".join(plain))) else escaped


def _still_missing(entries: list[_Entry], content: bytes, start: int = 0) -> list[_Entry]:
    """Return the entries whose pattern is not there."""
    return [entry for entry in entries if not entry.finds(content, start)]


def _any(entries: Iterable[_Entry]) -> _Pattern | None:
    """Return a pattern that finds what any of the entries finds, None where one cannot be written.

    Mostly none is found, which one search tells for all.
    """
    patterns = [entry.rule.matches for entry in entries if entry.rule.matches is not None]
    if not patterns or any(r"\Q" in pattern for pattern in patterns):
        return None  # a quotation that is not closed would swallow the patterns after it
    try:
        return _Pattern(*patterns)
    except re2.error:  # together they are too large
        return None


def _beginning(expression: str) -> bytes:
    """Return what all that an expression finds begins with; nothing where that is not plain to see."""
    found = _BEGINNING.match(expression)
    return found[0].encode() if found and "|" not in expression else b""


def _pattern(rule: Rule) -> _Pattern | None:
    if rule.matches is None:
        return None
    try:
        return _Pattern(rule.matches)
    except re2.error as error:
        raise PolicyError(f"the rule {rule.name!r} cannot be used: RE2 cannot read its expression") from error
