"""The `console` blocks of a page: commands with what they print, and a shell that runs them again.

    told = transcripts.read(page, "## Without a cluster")
    assert transcripts.differences(told, transcripts.run(told, environment)) == []

A line that begins with "$ " is a command; one that ends with a backslash goes on in the next line. What follows, up to
the next command, is what it prints on either output.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
#: What differs from run to run, and what stands for it. Nothing else may differ.
VARIES = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"(?:sha256:[0-9a-f]{64}|@[0-9a-f]{12})\b", "<digest>"),
    (r"\b[0-9a-f]{16}\b", "<hash>"),
    (r"(?<=[a-z]-)[0-9a-f]{6,10}-[a-z0-9]{5}\b", "<suffix>"),
    (r"127\.0\.0\.1:\d{5}\b", "127.0.0.1:<port>"),
    (r"/tmp/[\w.-]+", "<folder>"),
    (r"\bran \d+\.\d s", "ran <time>"),
    (r"\b(?:\d+[dhms])+\b", "<age>"),
    (r"[ \t]+", " "),
]
_NEXT = "=-=-= next command =-=-="


class Step(NamedTuple):
    """A command, and what it prints."""

    command: str
    output: str


def sections(text: str) -> dict[str, str]:
    """Return the parts of a page by their headings of the second level."""
    return dict(re.findall(r"^(## .+)\n((?:(?!## ).*\n)*)", text, re.MULTILINE))


def read(text: str) -> list[Step]:
    """Return the steps of all console blocks of a text."""
    steps = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, output = re.fullmatch(r"((?:[^\n]*\\\n)*[^\n]*)\n(.*)", part, re.DOTALL).groups()
            steps.append(Step(command, output))
    return steps


def run(steps: Sequence[Step], environment: Mapping[str, str], seconds: float = 120) -> list[Step]:
    """Run the commands in one shell at the repository's root; what they left running ends with it."""
    lines = ["trap 'kill $(jobs -p) 2>/dev/null' EXIT"]
    for step in steps:
        lines += [f"echo; echo '{_NEXT}'", "{", step.command, "} 2>&1"]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=ROOT, env=dict(environment), capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    outputs = done.stdout.split(f"\n{_NEXT}\n")[1:]
    return [Step(step.command, output) for step, output in zip(steps, outputs, strict=True)]


def plain(text: str) -> str:
    """Return a text without what varies."""
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


def differences(told: Sequence[Step], seen: Sequence[Step]) -> list[str]:
    """Return what is printed otherwise than the page says, ready to be put into the page."""
    return [
        f"$ {after.command}\n{after.output}"
        for before, after in zip(told, seen, strict=True)
        if plain(before.output) != plain(after.output)
    ]
