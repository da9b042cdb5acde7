"""What must not be said or done: a policy's rules, made ready once, asked of every message that they look at. Pure.

Whoever has a message asks the rulebook of the policy in use::

    book = active.rulebook
    if book.looks_at(RuleTarget.TOOL_CALL):
        message = Message(RuleTarget.TOOL_CALL, names, size, lambda: texts.of_value(arguments, open_names=True))
        verdict = book.judge(message, time.monotonic())
        if verdict.rules:
            violations.note(verdict, RuleTarget.TOOL_CALL, subject)   # records, counts, tells; stops the agent
        if verdict.denies:
            raise RuleViolated(verdict.decisive.name)

A streamed answer gets a `Watcher` (`book.watch`), which is asked event by event. `texts` finds what there is to
search. Not here: who is told of a violation (`telemetry.violations`), and how a message is refused or cut (`llm`,
`tools`).
"""
