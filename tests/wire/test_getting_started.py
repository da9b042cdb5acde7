"""docs/getting-started.md without a cluster: each command prints what the page says."""

import os
import socket
import sys
from pathlib import Path

from support import transcripts

PAGE = transcripts.ROOT / "docs/getting-started.md"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_the_first_steps_print_what_the_page_says():
    text = transcripts.sections(PAGE.read_text())["## 1. Your agent under a policy, without a cluster"]
    told = transcripts.read(text)
    port = str(free_port())
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    steps = [transcripts.Step(step.command.replace("8000", port), step.output) for step in told]
    seen = transcripts.run(steps, {**os.environ, "PATH": path})

    assert len(told) > 5
    assert transcripts.differences(told, seen) == []
