"""The command line."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_EPILOG = """examples:
  agenttype run -f agent.yaml --backend shared=http://127.0.0.1:8000 -- python agent.py
  agenttype run -f manifests/ --ledger ~/.agenttype/green --json report.json -- ./agent
  eval "$(agenttype run -f agent.yaml --print-env shell)"   # in one terminal; the agent runs in it
"""

_LAST_PORT: Final = 65535


@dataclass(frozen=True)
class Options:
    """What `agenttype run` was asked; see `--help` for the meaning of each."""

    files: list[str]
    agent: str | None
    command: list[str]
    policy_only: bool
    ledger: Path | None
    json: Path | None
    print_env: str | None
    backend: dict[str, str]
    secret: dict[str, str]
    token: Path | None
    nats: str | None
    data_port: int
    control_port: int
    verbose: bool


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; ends the process with a message where it cannot be understood."""
    given = list(arguments)
    command: list[str] = []
    if "--" in given:
        at = given.index("--")
        given, command = given[:at], given[at + 1 :]
    parser = argparse.ArgumentParser(prog="agenttype", description="Run an agent on this machine under its policy.")
    commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run a command as the agent of an AgentType, with its sidecar beside it",
        usage="agenttype run -f FILES [options] [-- COMMAND ...]",
        description="Compiles the AgentType of the given manifests as the operator would, starts its sidecar on free "
        "loopback ports, and runs COMMAND with the environment and the wrapper that the agent's container would get. "
        "Ends with COMMAND's exit status and tells what it used. Without COMMAND it serves until it is ended.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = run.add_argument
    add("-f", "--files", action="append", required=True, metavar="FILE", help="manifests: files, folders, or -")
    add("--agent", metavar="NAME", help="which AgentType, where the files have several")
    add("--policy-only", action="store_true", help="leave out the manifest's own environment and the wrapper")
    add("--ledger", type=Path, metavar="DIR", help="folder that keeps what was spent from one run to the next")
    add("--json", type=Path, metavar="FILE", help="write the report as JSON; - is the standard output")
    add("--print-env", choices=("json", "shell"), help="without COMMAND: how to print the environment (shell)")
    add("--backend", action="append", default=[], type=_pair, metavar="NAME=URL",
        help="where a ModelBackend of the cluster is reached from here")  # fmt: skip
    add("--secret", action="append", default=[], type=_pair, metavar="NAME/KEY=SOURCE",
        help="value of a Secret: env:VARIABLE, or the path of a file")  # fmt: skip
    add("--token", type=Path, metavar="FILE", help="token for a gate that --backend leads to")
    add("--nats", metavar="URL", help="server that counts shared limits; without it one is started if needed")
    add("--data-port", type=_port, default=0, help="port that the agent calls; 0: a free one")
    add("--control-port", type=_port, default=0, help="port of metrics and the control API; 0: a free one")
    add("-v", "--verbose", action="store_true", help="show the sidecar's log")
    found, rest = parser.parse_known_args(given)
    if rest and not rest[0].startswith("-"):
        run.error(f"write -- before the command: agenttype run -f FILES [options] -- {shlex.join([*rest, *command])}")
    if rest:
        run.error(f"there is no option {rest[0]}; options of the command go behind --")
    if found.print_env and command:
        run.error("--print-env prints the environment instead of running a command; leave one of them out")
    del found.subcommand
    found.backend, found.secret = dict(found.backend), dict(found.secret)
    return Options(command=command, **vars(found))


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"write a port, 1 to {_LAST_PORT}, or 0 for a free one")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise argparse.ArgumentTypeError("write NAME=VALUE")
    return name, value
