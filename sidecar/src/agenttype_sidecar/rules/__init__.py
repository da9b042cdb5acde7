"""What must not be said or done: a policy's rules, compiled once and checked for every message they apply to. Pure.

Code that has a message checks it with the rulebook of the policy in use::

    rulebook = active.rulebook
    if rulebook.looks_at(RuleTarget.TOOL_CALL):
        message = Message(RuleTarget.TOOL_CALL, names, size, lambda: texts.of_value(arguments, open_names=True))
        verdict = rulebook.check(message, time.monotonic())
        if verdict.rules:
            violations.note(verdict, RuleTarget.TOOL_CALL, subject)   # records, counts, logs; stops the agent
        if verdict.denies:
            raise RuleViolated(verdict.decisive.name)

A streamed answer gets a `StreamWatcher` (`rulebook.watch`), which checks event by event. `message_texts` finds the
texts to search. Not here: where violations are reported (`telemetry.violations`), and how a message is refused or
cut (`llm`, `tools`).
"""
