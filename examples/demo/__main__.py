"""Two unmodified agents on a real Kubernetes, each with its own LoRA adapter on one real vLLM.

    make demo

Makes a cluster (kind where Docker runs, else the embedded one), builds the images, installs the chart, lets the
agents talk until one budget ends, and prints what each answered, spent and was refused. The cluster stays.
"""

import argparse
import json
import sys
from pathlib import Path

from examples.demo import books, install
from examples.demo import story as stories
from examples.demo.kubectl import CommandError, Kubectl
from examples.demo.places import Embedded, Place, choose
from examples.demo.stages import Stages, say


def main() -> int:
    """Run the demo; exit 0 when everything that it promises was seen."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--dir", type=Path, help="folder of the embedded cluster (default: the user's state folder)")
    options = parser.parse_args()
    place: Place = Embedded(options.dir) if options.dir else choose()
    stages = Stages()
    try:
        kubectl = bring_up(place, stages)
        seen = tell(kubectl, stages)
    except CommandError as error:
        say(f"\n{error}\n{_troubles(place)}\nThe cluster is left as it is; run `make demo` again once that is mended.")
        return 1
    show(seen, kubectl)
    say(f"\nTook: {stages.summary()}.")
    return 0 if seen.balance.balanced and seen.refusal and seen.refusal.alive else 1


def _troubles(place: Place) -> str:
    """Return what the cluster itself complains of, or nothing where it cannot be asked."""
    try:
        kubectl = place.kubectl()
        pods = kubectl("get", "pods", "--all-namespaces")
        events = kubectl("get", "events", "--all-namespaces", "--field-selector=type=Warning")
    except (CommandError, OSError):
        return ""
    return f"\n{pods}\n{''.join(events.splitlines(keepends=True)[-8:])}"


def bring_up(place: Place, stages: Stages) -> Kubectl:
    """Make the cluster and everything on it, up to two ready agents."""
    with stages.stage(f"cluster: {place.name}"):
        place.up()
    kubectl = place.kubectl()
    with stages.stage("engine: vLLM and its model"):
        engine = place.engine()
    with stages.stage("images"):
        tag = install.images(place)
    with stages.stage("install"):
        install.everything(place, kubectl, engine, tag)
    with stages.stage("model server ready"):
        kubectl.wait("Ready", "modelbackend/shared", seconds=900)
    with stages.stage("agents ready"):
        kubectl.wait("Ready", "agenttype/green", "agenttype/red", seconds=300)
    return kubectl


def tell(kubectl: Kubectl, stages: Stages) -> stories.Story:
    """Let the agents work, and collect what happened."""
    seen = stories.Story()
    with stages.stage("one prompt, three answers"):
        seen.forms = stories.forms(kubectl)
    with stages.stage("red probes green until green's budget ends"):
        seen.exchange, seen.refusal = stories.until_the_budget_ends(kubectl)
    seen.balance = books.read(kubectl)
    seen.rows = stories.rows(kubectl, seen)
    return seen


def show(seen: stories.Story, kubectl: Kubectl) -> None:
    """Print the story."""
    say(f"\nOne engine, asked {stories.PROMPT!r}")
    for who, answer in seen.forms.items():
        say(f"  {who:5} {' '.join(answer.split())[:120]}")
    last = next((said for said in reversed(seen.exchange) if "raw" in said), None)
    if last:
        say("\nOne round of the exchange")
        say(f"  red:   {last['probe']}\n  green: {last['answer']}\n  log:   {last['log']}\n  green: {last['raw']}")
    if seen.refusal:
        refusal = seen.refusal
        say(f"\nGreen's budget ended in round {refusal.rounds}: {json.dumps(refusal.error)[:200]}")
        say(
            f"  refused calls {refusal.refused_calls}, requests that reached vLLM because of them "
            f"{refusal.engine_requests_after - refusal.engine_requests_before}, restarts {refusal.restarts}, "
            f"green {'lives' if refusal.alive else 'IS DEAD'}"
        )
    say("\nThe books")
    for line in seen.balance.lines():
        say(f"  {line}")
    say("\n" + table(seen.rows))
    say(
        f"\nLook further:\n  export KUBECONFIG={kubectl.kubeconfig}\n"
        "  kubectl -n demo get agents\n  kubectl -n demo describe at green\n  kubectl -n demo logs deploy/red\n"
        '  kubectl -n demo exec deploy/green -- python3 -c "import urllib.request as r; '
        "print(r.urlopen('http://127.0.0.1:15090/agenttype/v1/budget').read().decode())\"\n"
        "End it with `make cluster-down`."
    )


def table(rows: list[stories.Row]) -> str:
    """Return the rows as aligned text."""
    head = ("AGENT", "ADAPTER", "CALLS", "IN", "OUT", "TOOLS", "REFUSED", "LEFT", "ANSWER")
    lines = [head] + [
        tuple(
            str(cell)
            for cell in (
                *(row.agent, row.adapter, row.calls, row.tokens_in, row.tokens_out),
                *(row.tool_calls, row.refusals, row.left, row.answer),
            )
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


if __name__ == "__main__":
    sys.exit(main())
