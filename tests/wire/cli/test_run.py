"""`agenttype run`: a command under its policy, without a cluster."""

import contextlib
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from agenttype_api import keys
from support.kinds import a_limit, agent_container, agent_manifest, backend_manifest, pod
from support.programs.simulators import simulator
from support.waiting import until

PROGRAM = str(Path(sys.executable).with_name("agenttype"))
#: An agent that knows nothing of us: it calls its model so many times and ends with a status of its own.
AGENT = """
import json, os, sys, urllib.error, urllib.request
body = json.dumps({"model": "gpt-4o", "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]}).encode()
for _ in range(int(sys.argv[1])):
    call = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions", body, {"content-type": "application/json"})
    try:
        print(urllib.request.urlopen(call).status)
    except urllib.error.HTTPError as error:
        print(error.code, error.headers["x-agenttype-reason"])
print(os.environ.get("GREETING"))
sys.exit(7)
"""


@pytest.fixture(scope="module")
def engine():
    with simulator(served_model_name="shared") as running:
        yield running


@pytest.fixture
def agent(tmp_path, engine):
    """The command line of `agenttype run`, up to its own options."""
    return of_an_agent(tmp_path, engine, a_limit("3", resource="Requests"))


def of_an_agent(folder, engine, limit, **spec):
    container = agent_container(env=[{"name": "GREETING", "value": "hi from $(AGENTTYPE_NAME)"}])
    budget = {"limits": [limit], "refusalStatus": 403}
    manifest = agent_manifest(template=pod(container), budget=budget, **spec)
    file = folder / "agent.yaml"
    file.write_text(yaml.safe_dump_all([manifest, backend_manifest()]))
    return [PROGRAM, "run", "-f", str(file), "--backend", f"shared={engine.url}"]


def ran(command, **options):
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, **options)


def command(calls):
    return ["--", sys.executable, "-c", AGENT, str(calls)]


def test_a_command_has_its_containers_environment_and_gives_its_exit_status(agent):
    done = ran([*agent, *command(2)])

    assert (done.returncode, done.stdout.splitlines()) == (7, ["200", "200", "hi from green"])
    assert "2 ok" in done.stderr


def test_a_budget_holds_and_the_report_tells(agent, tmp_path):
    done = ran([*agent, "--json", str(tmp_path / "report.json"), *command(5)])

    told = json.loads((tmp_path / "report.json").read_text())
    assert done.stdout.splitlines()[:5] == ["200", "200", "200", *["403 insufficient_quota"] * 2]
    assert (told["exitStatus"], told["requests"], told["refusals"]) == (
        7,
        {"ok": 3, "refused": 2},
        {"insufficient_quota": 2},
    )


def test_a_ledger_that_is_given_is_kept_between_runs(agent, tmp_path):
    first = ran([*agent, "--ledger", str(tmp_path / "kept"), *command(2)])
    second = ran([*agent, "--ledger", str(tmp_path / "kept"), *command(2)])

    assert first.stdout.splitlines()[:2] == ["200", "200"]
    assert second.stdout.splitlines()[:2] == ["200", "403 insufficient_quota"]


def test_a_limit_that_pods_share_is_counted_from_run_to_run_by_a_server_that_it_starts(tmp_path, engine):
    shared = a_limit("3", resource="Requests", window="Forever", scope="AgentType")
    agent = [*of_an_agent(tmp_path, engine, shared), "--ledger", str(tmp_path / "kept")]
    first, second = ran([*agent, *command(2)]), ran([*agent, *command(2)])

    assert first.stdout.splitlines()[:2] == ["200", "200"]
    assert second.stdout.splitlines()[:2] == ["200", "403 insufficient_quota"]


def test_a_command_whose_policy_stops_it_is_ended(tmp_path, engine):
    rule = {"name": "greeting", "appliesTo": ["LLMRequest"], "matches": "hi", "action": "StopAgent"}
    agent = of_an_agent(tmp_path, engine, a_limit("3", resource="Requests"), rules=[rule])
    waiting = AGENT.replace("sys.exit(7)", "import time; time.sleep(600)")
    done = ran([*agent, "--", sys.executable, "-c", waiting, "1"])

    assert (done.returncode, "agenttype: stopping the command: " in done.stderr) == (128 + signal.SIGTERM, True)


def test_without_a_command_it_prints_the_environment_and_serves_until_it_is_ended(agent):
    serving = subprocess.Popen(
        [*agent, "--print-env", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    text = ""
    while not text.endswith("}\n"):
        text += serving.stdout.readline()
    with urllib.request.urlopen(json.loads(text)[keys.ENV_CONTROL_URL] + "/status", timeout=60) as answer:
        assert json.load(answer)["agentType"] == "green"
    serving.terminate()
    _, told = serving.communicate(timeout=30)

    assert (serving.returncode, "model calls   none" in told) == (0, True)


def test_what_it_started_ends_with_it_however_early(agent, tmp_path):
    serving = subprocess.Popen(
        [*agent, "--ledger", str(tmp_path / "kept")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until(lambda: child_of(serving.pid, "agenttype_sidecar"))
    sidecar = child_of(serving.pid, "agenttype_sidecar")
    serving.terminate()
    serving.communicate(timeout=60)

    assert not Path(f"/proc/{sidecar}").exists()


def test_the_environment_can_be_taken_over_by_a_shell(agent):
    serving = subprocess.Popen(agent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = serving.stdout.readline()
    serving.send_signal(signal.SIGINT)
    rest = serving.stdout.read()
    serving.communicate(timeout=30)

    shell = ran(["sh", "-c", f"{line}{rest}\necho $GREETING"])
    assert shell.stdout == "hi from green\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_signals_reach_the_command(agent, number, tmp_path):
    code = f"""
import signal, sys, time, pathlib
signal.signal({int(number)}, lambda *_: sys.exit(31))
pathlib.Path({str(tmp_path / "up")!r}).touch()
time.sleep(60)
"""
    running = subprocess.Popen(
        [*agent, "--", sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # whoever shares a terminal with us takes a SIGINT for typed
    )
    until((tmp_path / "up").exists)
    running.send_signal(number)
    running.communicate(timeout=30)

    assert running.returncode == 31


def test_a_command_that_a_signal_ended_is_told_as_shells_do(agent):
    done = ran([*agent, "--", sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])

    assert done.returncode == 128 + signal.SIGKILL


def test_a_sidecar_that_dies_comes_back_with_its_ledger(agent, tmp_path):
    code = AGENT.replace("for _ in", "import time, pathlib\nfor turn in").replace(
        "    call = ",
        f"    while turn and not pathlib.Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.01)\n    call = ",
    )
    running = subprocess.Popen(
        [*agent, "--", sys.executable, "-u", "-c", code, "4"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout.readline() == "200\n"
    before = child_of(running.pid, "agenttype_sidecar")
    os.kill(before, signal.SIGKILL)
    until(lambda: (again := child_of(running.pid, "agenttype_sidecar")) and again != before)
    until(lambda: serves(child_of(running.pid, "agenttype_sidecar")))
    (tmp_path / "go").touch()
    told, _ = running.communicate(timeout=60)

    assert told.splitlines()[:3] == ["200", "200", "403 insufficient_quota"]


def child_of(parent, name):
    """The pid of the child process with this name in its command line, 0 without one."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    threads = [
        child for task in Path(f"/proc/{parent}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return next((int(pid) for pid in [*found, *threads] if name in Path(f"/proc/{pid}/cmdline").read_text()), 0)


def serves(pid):
    """Whether a process listens on its data port."""
    arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    port = int(arguments[arguments.index("--data-port") + 1])
    listening = Path("/proc/net/tcp").read_text()
    return f"0100007F:{port:04X} 00000000:0000 0A" in listening


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--agent", "red"], "the files have no AgentType 'red'; they have green"),
        (["--backend", "other=http://127.0.0.1:1"], "which the agent does not use"),
        (["--token", "/nowhere"], "--token /nowhere: no such file"),
        (["--json", "/nowhere/report.json"], "No such file or directory; give a file that can be written"),
        (["--ledger", "/dev/null"], "--ledger /dev/null: File exists; give a folder that can be written"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(agent, options, words):
    done = ran([*agent, *options, "--", "true"])

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["python", "agent.py"], "write -- before the command: agenttype run -f FILES [options] -- python agent.py"),
        (["--budget", "3", "--", "true"], "there is no option --budget"),
        (["--data-port", "65536"], "write a port, 1 to 65535, or 0 for a free one"),
    ],
)
def test_a_command_line_that_is_not_understood_is_told_how_to_be_written(agent, arguments, words):
    done = ran([*agent, *arguments])

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_port_that_is_taken_is_told_with_what_to_change(agent, engine):
    done = ran([*agent, "--data-port", str(engine.port), "--", "true"])

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "give --data-port and --control-port others, or leave them out" in done.stderr


def test_a_ledger_serves_one_run_at_a_time(agent, tmp_path):
    kept = ["--ledger", str(tmp_path / "kept")]
    running = subprocess.Popen([*agent, *kept, "--", "cat"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    until((tmp_path / "kept" / "policy.json").exists)
    policy = (tmp_path / "kept" / "policy.json").read_bytes()
    done = ran([*agent, *kept, "--agent", "green", "--", "true"])
    running.communicate(timeout=30)

    assert (done.returncode, "another run uses it" in done.stderr) == (2, True)
    assert (tmp_path / "kept" / "policy.json").read_bytes() == policy


def test_a_report_that_cannot_be_written_leaves_the_exit_status(agent):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*agent, "--json", "-", "--", "sh", "-c", "exit 7"], check=False, stdout=full, stderr=subprocess.PIPE
        )

    assert (done.returncode, b"No space left on device" in done.stderr) == (7, True)


def test_a_report_of_a_former_run_is_not_taken_for_this_ones(agent, tmp_path):
    file = tmp_path / "report.json"
    file.write_text('{"exitStatus": 0}')
    done = ran([*agent, "--json", str(file), "--", "no-such-program"])

    assert (done.returncode, file.read_text()) == (2, "")


def test_a_file_that_is_no_program_is_told_how_to_be_called(agent, tmp_path):
    (tmp_path / "agent").write_text("print('hi')\n")
    (tmp_path / "agent").chmod(0o755)
    done = ran([*agent, "--", str(tmp_path / "agent")])

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Exec format error; call it through its interpreter" in done.stderr


def test_an_address_with_the_version_is_an_address(agent, engine):
    done = ran([*agent, "--backend", f"shared={engine.url}/v1/", *command(1)])

    assert done.stdout.splitlines()[0] == "200"


def test_what_is_typed_reaches_the_command_once(agent, tmp_path):
    """Ctrl-C at a terminal, where the command's input comes from a pipe."""
    code = f"""
import os, pathlib, signal, time
seen = pathlib.Path({str(tmp_path / "seen")!r})
told = []
def interrupted(*_):
    told.append(1)
    seen.write_text(str(len(told)))
    os.kill(os.getppid(), signal.SIGTERM)  # comes back after all that was to be passed on before
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
seen.write_text("0")
while True: time.sleep(0.01)  # a pause would miss a signal that comes just before it
"""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", f"echo hi | {shlex.join([*agent, '--', sys.executable, '-c', code])}"])
    try:
        until(lambda: (tmp_path / "seen").exists() and (tmp_path / "seen").read_text())
        os.write(terminal, b"\x03")
        drained(terminal)
    finally:
        os.close(terminal)  # whatever still has it is hung up on
        os.waitpid(pid, 0)

    assert (tmp_path / "seen").read_text() == "1"


def drained(terminal):
    """Read a terminal until nobody holds its other end."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 65_536):
            pass


def test_a_program_that_does_not_exist_is_named(agent):
    done = ran([*agent, "--", "no-such-program"])

    assert (done.returncode, done.stderr) == (2, "agenttype: no-such-program: No such file or directory\n")


def test_it_leaves_nothing_behind(agent, tmp_path):
    done = (
        ran([*agent, *command(1)], env={**os.environ, "TMPDIR": str(tmp_path / "tmp")})
        if (tmp_path / "tmp").mkdir() is None
        else None
    )

    assert (done.returncode, list((tmp_path / "tmp").iterdir())) == (7, [])
