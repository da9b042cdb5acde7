"""The rules of one policy, and which of them apply to a message. Pure: the clock is passed in.

A rule applies when all its conditions hold. All rules that apply are recorded; the strictest action decides.
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
from agenttype_sidecar.rules import message_texts, windows
from agenttype_sidecar.rules.windows import Windows

_MINUTE: Final = 60.0
_ANYWHERE: Final = re2._Anchor.UNANCHORED  # noqa: SLF001 — see `_Pattern`
_NOWHERE: Final = (-1, -1)
#: Anchors: the beginning or the end of a text. `[^` opens a class and is not one.
_EDGES: Final = re.compile(r"(?<!\\)\[\^|([$^]|\\[Az])")
#: The literal letters that an expression begins with.
_BEGINNING: Final = re.compile(r"[A-Za-z0-9 _-]+(?![?*+{])")
_STRICTNESS: Final = {RuleAction.WARN: 0, RuleAction.DENY: 1, RuleAction.STOP_AGENT: 2}


class Message(NamedTuple):
    """What a rule can look at in a message.

    Attributes:
        on: The kind of message.
        names: The names that the rule's glob is matched with: the model's name as the agent wrote it, or the tool's
            name with and without `<server>/`.
        size: Its bytes; 0 for a stream, whose bytes are counted as they come.
        texts: Returns all its texts; called only where a rule has a pattern. Empty for a stream.
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
        """The strictest rule, the first of several; call it only where rules apply."""
        return max(self.rules, key=lambda rule: _STRICTNESS[rule.action])

    @property
    def denies(self) -> bool:
        """Whether the message may not pass."""
        return any(rule.action is not RuleAction.WARN for rule in self.rules)

    @property
    def stops(self) -> bool:
        """Whether the agent must stop."""
        return any(rule.action is RuleAction.STOP_AGENT for rule in self.rules)


#: No rule applies.
PASS: Final = Verdict()


class Rulebook:
    """The rules of one policy, compiled."""

    def __init__(self, rules: Iterable[Rule], former: "Rulebook | None" = None) -> None:
        """Compile the rules.

        Args:
            rules: those of the policy, in order.
            former: the rulebook in use until now; unchanged rules keep their counts.

        Raises:
            PolicyError: RE2 cannot read a pattern.
        """
        counted = {entry.rule: entry.rate for entry in former.entries} if former else {}
        #: One per rule; read by the next rulebook.
        self.entries: tuple[_CompiledRule, ...] = tuple(_CompiledRule(rule, counted.get(rule)) for rule in rules)
        self._on = {on: tuple(entry for entry in self.entries if on in entry.rule.applies_to) for on in RuleTarget}
        self._any = {on: _any(entries) for on, entries in self._on.items()}

    def looks_at(self, on: RuleTarget) -> bool:
        """Return whether any rule looks at such messages; if none does, there is no need to build one."""
        return bool(self._on[on])

    def check(self, message: Message, now: float) -> Verdict:
        """Return the rules that apply to a whole message.

        Args:
            message: the message.
            now: monotonic seconds.
        """
        entries = [entry for entry in self._on[message.on] if entry.concerns(message) and entry.is_passed(message.size)]
        if not entries:
            return PASS
        unmatched = [entry for entry in entries if entry.pattern is not None]
        if unmatched:
            any_of_them = self._any[message.on]
            for text in _suspect(message.texts(), any_of_them):
                for content in windows.whole(text):
                    if any_of_them is None or any_of_them.is_in(content):
                        unmatched = _still_unmatched(unmatched, content)
                if not unmatched:
                    break
            entries = [entry for entry in entries if entry not in unmatched]
        return _verdict(entries, now) if entries else PASS

    def watch(self, message: Message, now: float) -> "StreamWatcher | None":
        """Return the watcher of a streamed answer, None where no rule concerns it.

        Args:
            message: what is known of the answer before it begins.
            now: as in `check`.
        """
        entries = [entry for entry in self._on[message.on] if entry.concerns(message)]
        return StreamWatcher(entries, self._any[message.on], now) if entries else None


class StreamWatcher:
    """Checks one streamed answer against the rules that concern it, event by event.

    Each new part of a text is searched together with up to `windows.WINDOW` bytes before it in its channel. For a
    pattern with an anchor at the end ("$"), the text ends where it has arrived so far. Each rule applies once.
    """

    def __init__(self, entries: "list[_CompiledRule]", any_of_them: "_Pattern | None", now: float) -> None:
        self._any = any_of_them
        self._now = now
        self._size = 0
        self._waiting = entries
        self._unmatched = [entry for entry in entries if entry.pattern is not None]
        self._windows = Windows()

    def passed(self, event: Event) -> Verdict:
        """Return the rules that apply from this event on; where they deny, the event must not be passed on."""
        if not self._waiting:
            return PASS
        self._size += len(event.raw)
        if self._unmatched and event.data:
            self._search(event.data)
        ready = [entry for entry in self._waiting if entry not in self._unmatched and entry.is_passed(self._size)]
        if not ready:
            return PASS
        self._waiting = [entry for entry in self._waiting if entry not in ready]
        return _verdict(ready, self._now)

    def _search(self, data: bytes) -> None:
        for fragment in message_texts.of_event(data):
            for span in self._windows.spans(fragment):
                if self._any is None or self._any.is_in(*span):
                    self._unmatched = _still_unmatched(self._unmatched, *span)


class _Pattern:
    """An expression of RE2.

    Calls the compiled half of the package directly, because the Python half makes a generator and a match for every
    search. If the literal letters that each alternative begins with are missing, it does not search at all.
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
        options.never_capture = True  # the position of a match is not needed
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


class _CompiledRule:
    """One rule, compiled."""

    __slots__ = ("_names", "pattern", "rate", "rule")

    def __init__(self, rule: Rule, rate: "_RateCounter | None") -> None:
        self.rule = rule
        self.pattern = _pattern(rule)
        asked = [glob for glob in (rule.model, rule.tool) if glob is not None]
        self._names = globs.glob(asked) if asked else None
        if rate is None and rule.more_per_minute is not None:
            rate = _RateCounter(rule.more_per_minute)
        self.rate = rate

    def concerns(self, message: Message) -> bool:
        return self._names is None or any(map(self._names.fullmatch, message.names))

    def is_passed(self, size: int) -> bool:
        """Return whether a message is larger than the rule allows."""
        return self.rule.more_than_bytes is None or size > self.rule.more_than_bytes

    def finds(self, content: bytes, start: int) -> bool:
        return self.pattern is not None and self.pattern.is_in(content, start)


class _RateCounter:
    """Counts the messages of the last minute, up to one more than its limit."""

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


def _verdict(entries: Iterable[_CompiledRule], now: float) -> Verdict:
    """Return the verdict once the rates have counted; a rate counts messages that meet the rule's other conditions."""
    return Verdict(tuple(entry.rule for entry in entries if entry.rate is None or entry.rate.is_passed(now)))


def _suspect(found: Iterable[str], any_of_them: _Pattern | None) -> Iterable[str]:
    """Return the texts that may contain a match; one search in all of them together usually finds that none does."""
    if any_of_them is None or any_of_them.has_edges:
        return found
    plain: list[str] = []
    escaped: list[str] = []
    for text in found:
        (escaped if "\\" in text else plain).append(text)
    return plain + escaped if any_of_them.is_in(windows.encoded("\0".join(plain))) else escaped


def _still_unmatched(entries: list[_CompiledRule], content: bytes, start: int = 0) -> list[_CompiledRule]:
    """Return the entries whose pattern does not match."""
    return [entry for entry in entries if not entry.finds(content, start)]


def _any(entries: Iterable[_CompiledRule]) -> _Pattern | None:
    """Return a pattern that matches what any of the entries matches, None where one cannot be written.

    Usually none matches, and one search shows that for all.
    """
    patterns = [entry.rule.matches for entry in entries if entry.rule.matches is not None]
    if not patterns or any(r"\Q" in pattern for pattern in patterns):
        return None  # an unclosed quotation would include the patterns after it
    try:
        return _Pattern(*patterns)
    except re2.error:  # the combined pattern is too large
        return None


def _beginning(expression: str) -> bytes:
    """Return the literal beginning of all matches of an expression; empty where it has no simple one."""
    found = _BEGINNING.match(expression)
    return found[0].encode() if found and "|" not in expression else b""


def _pattern(rule: Rule) -> _Pattern | None:
    if rule.matches is None:
        return None
    try:
        return _Pattern(rule.matches)
    except re2.error as error:
        raise PolicyError(f"the rule {rule.name!r} cannot be used: RE2 cannot read its expression") from error
