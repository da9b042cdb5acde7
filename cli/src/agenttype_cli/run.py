"""`agenttype run`, from the manifests to the report."""

import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from agenttype_api import compile as compiler
from agenttype_api import policy
from agenttype_api.environment import Endpoints

from agenttype_cli import environment, ledger_folder, manifests, plan, report, secrets
from agenttype_cli.command import Command
from agenttype_cli.control import Control
from agenttype_cli.errors import BadPolicy, Missing
from agenttype_cli.manifests import Manifests
from agenttype_cli.nats_server import NatsServer
from agenttype_cli.options import Options
from agenttype_cli.plan import RunPlan
from agenttype_cli.report import Report
from agenttype_cli.sidecar import Files, Ports, Sidecar
from agenttype_cli.signals import Ended, Signals

#: What a vLLM without a gate is told, which does not ask.
_TOKEN: Final = "agenttype-run"  # noqa: S105 — proves nothing
_PRIVATE: Final = 0o700
_STANDARD_OUTPUT: Final = Path("-")
_PAUSE: Final = 0.5


def run(options: Options, signals: Signals) -> int:
    """Run the command under its policy; return its exit status, 0 where there was none.

    Raises:
        UserError: nothing was run; the message tells the fix.
        Ended: a signal came before the command ran.
    """
    found = manifests.read(options.files)
    _empty(options.json)
    agent = plan.chosen_agent(found, options.agent)
    with ExitStack() as stack:
        home = stack.enter_context(_home(options.ledger))
        url = options.nats
        if url is None and compiler.shares_limits(agent):
            with signals.held():
                server = NatsServer(home / "nats")
                stack.callback(server.end)
            url = server.url
        planned = plan.run_plan(agent, found, options.backend, url)
        files = _files(home, planned, found, options)
        with signals.held():
            sidecar = Sidecar(files, Ports(options.data_port, 0, options.control_port), verbose=options.verbose)
            stack.callback(sidecar.end)
        added = _environment(planned, found, options, sidecar.ports, home)
        return _served(planned, options, Control(sidecar.ports.control), added)


@contextmanager
def _home(ledger: Path | None) -> Iterator[Path]:
    """Give the folder of this run: the user's, which stays, or one that goes."""
    if ledger is not None:
        with ledger_folder.locked(ledger) as path:
            yield path
        return
    try:
        temporary = tempfile.TemporaryDirectory(prefix="agenttype-")
    except OSError as error:
        raise Missing(f"no folder for temporary files: {error.strerror}; set TMPDIR to one") from error
    with temporary as folder:
        yield Path(folder)


def _files(home: Path, planned: RunPlan, found: Manifests, options: Options) -> Files:
    files = Files(
        policy=home / "policy.json",
        ledger=home / "ledger",
        credentials=home / "credentials",
        token=options.token.expanduser().absolute() if options.token else home / "token",
        log=home / "sidecar.log",
    )
    files.policy.write_text(policy.document_json(planned.document), encoding="utf-8")
    if options.token is None:
        files.token.write_text(_TOKEN, encoding="utf-8")
    elif not files.token.is_file():
        raise Missing(f"--token {options.token}: no such file")
    for path, reference in planned.credentials.items():
        file = files.credentials / path
        file.parent.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.value(reference, found, options.secret), encoding="utf-8")
    return files


def _environment(planned: RunPlan, found: Manifests, options: Options, ports: Ports, home: Path) -> dict[str, str]:
    endpoints = Endpoints(ports.data, ports.control)
    if options.policy_only:
        return environment.of_policy(planned.agent, os.environ, endpoints)
    wrapper = home / "wrapper"
    if planned.agent.spec.injection.wrapper:
        done = subprocess.run(  # noqa: S603 — our own interpreter and module
            [sys.executable, "-m", "agenttype_wrapper.install", "--to", str(wrapper)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Missing(f"the wrapper cannot be put in place: {done.stderr.strip()}")
    return environment.of_container(planned.agent, found, os.environ, endpoints, str(wrapper / "python"))


def _served(planned: RunPlan, options: Options, control: Control, added: dict[str, str]) -> int:
    """Run the command, or serve until a signal; then tell what was used."""
    began = time.monotonic()
    status: int | None = None
    if options.command:
        command = Command(options.command, {**os.environ, **added})
        threading.Thread(target=_watch, args=(control, command), name="watch", daemon=True).start()
        status = command.run()
    else:
        _print_environment(added, options.print_env)
        with contextlib.suppress(Ended):
            while True:  # a signal that comes just before a wait without an end would not end it
                time.sleep(_PAUSE)
    _tell(_reported(planned, options, control, status, time.monotonic() - began), options)
    return status or 0


def _watch(control: Control, command: Command) -> None:
    """Stop the command once its policy says StopAgent."""
    sequence = -1
    while True:
        try:
            seen = control.report(after=sequence)
        except (OSError, ValueError):  # the sidecar is coming back, or everything is ending
            time.sleep(_PAUSE)
            continue
        sequence = seen.sequence
        if seen.stopped:
            sys.stderr.write(f"agenttype: stopping the command: {seen.stopped}\n")
            command.stop()
            return


def _reported(planned: RunPlan, options: Options, control: Control, status: int | None, seconds: float) -> Report:
    identity = planned.document.identity
    try:
        told = report.usage(control.samples()) | {"budget": control.budget(), "stopped": control.report().stopped}
    except (OSError, ValueError) as error:
        raise BadPolicy(f"the sidecar does not tell what was used: {error}") from error
    return Report(
        agent=f"{identity.namespace}/{identity.name}",
        command=options.command,
        exit_status=status,
        seconds=round(seconds, 3),
        policy_hash=planned.document.hash(),
        **told,
    )


def _tell(found: Report, options: Options) -> None:
    if options.json is None:
        sys.stderr.write(found.as_text())
        return
    text = json.dumps(found.as_json(), indent=2) + "\n"
    try:
        if options.json == _STANDARD_OUTPUT:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            options.json.write_text(text, encoding="utf-8")
    except OSError as error:  # the command has run, and its exit status counts
        sys.stderr.write(f"agenttype: --json {options.json}: {error.strerror}\n{found.as_text()}")


def _empty(file: Path | None) -> None:
    """Empty the report's file, so that an earlier run's is not taken for this one's; tell early if that fails."""
    if file is None or file == _STANDARD_OUTPUT:
        return
    try:
        file.write_text("", encoding="utf-8")
    except OSError as error:
        raise Missing(f"--json {file}: {error.strerror}; give a file that can be written") from error


def _print_environment(added: dict[str, str], form: str | None) -> None:
    if form == "json":
        text = json.dumps(added, indent=2) + "\n"
    else:
        text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in added.items())
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(text)
        sys.stdout.flush()
