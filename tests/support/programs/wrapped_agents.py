"""Runs small agents beside an installed wrapper, in processes that inherit nothing from the tests' environment."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

COUNTING = ("COVERAGE_FILE", "COVERAGE_PROCESS_START")
SOURCES = Path(__file__).resolve().parents[3] / "wrapper" / "src"
SIDECAR_URL = "http://127.0.0.1:15001"
SAYS_STATE = "import os; print(os.environ.get('AGENTTYPE_WRAPPER_STATE'))"
UNKNOWN_UID = 54321


@dataclass(frozen=True)
class Ended:
    """How an agent ended."""

    status: int
    stdout: str
    stderr: str


class Volume:
    """A copy of the wrapper as the init container makes it, which a test may damage."""

    def __init__(self, root: Path, python: str = sys.executable) -> None:
        self.root = root
        self.python = python
        self.path = root / "python"

    def install(self) -> "Volume":
        """Install as the init container does."""
        ended = run_installer("--to", str(self.root), python=self.python)
        assert ended.status == 0, ended.stderr
        return self

    def copy(self, root: Path) -> "Volume":
        """Return a copy with the same modes and times, for a test to damage."""
        shutil.copytree(self.root, root)
        return Volume(root, self.python)

    def damage(self, name: str, content: str) -> None:
        """Replace a source and drop its bytecode, which is used unchecked."""
        source = self.path / name
        for cached in (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"):
            cached.parent.chmod(0o755)
            cached.unlink()
        source.chmod(0o644)
        source.write_text(content)

    def environment(self, **others: str) -> dict[str, str]:
        """Return what the agent's environment holds; PYTHONPATH continues with the user's."""
        theirs = others.pop("PYTHONPATH", None)
        path = os.pathsep.join([str(self.path), theirs] if theirs else [str(self.path)])
        return {"LLM_SIDECAR_URL": SIDECAR_URL, "PYTHONPATH": path, **others}

    def run(self, *arguments: str, before: tuple[str, ...] = (), **others: str) -> Ended:
        """Run the agent's interpreter with arguments; `before` is a command that starts it."""
        return run([*before, self.python, *arguments], self.environment(**others))


def run(command: list[str], environment: dict[str, str]) -> Ended:
    """Run a command with this environment and nothing else, but for what has its lines counted."""
    counting = {name: os.environ[name] for name in COUNTING if name in os.environ and sys.executable in command}
    ended = subprocess.run(command, env=environment | counting, capture_output=True, text=True, check=False, timeout=60)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def run_installer(*arguments: str, python: str = sys.executable, before: tuple[str, ...] = ()) -> Ended:
    """Run what the init container runs."""
    command = [*before, python, "-m", "agenttype_wrapper.install", *arguments]
    return run(command, {"PYTHONPATH": str(SOURCES), "PYTHONDONTWRITEBYTECODE": "1"})


def event(line: str) -> dict[str, object]:
    """Return the one JSON line of the installer."""
    fields: dict[str, object] = json.loads(line)
    return fields


def in_namespace(*options: str) -> tuple[str, ...]:
    """Return the command that runs another one in a user namespace of its own, so that no test needs root."""
    unshare = shutil.which("unshare") or pytest.fail("unshare is missing; install it with: apt-get install util-linux")
    asked = subprocess.run([unshare, *options, "true"], capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.fail(
            "user namespaces are refused here; allow them with: "
            "sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0\n"
            + asked.stderr
        )
    return (unshare, *options)


def as_unknown_user() -> tuple[str, ...]:
    """Return the command that runs another one as a user without a name and without root's powers."""
    return in_namespace("--user", f"--map-user={UNKNOWN_UID}")


def with_mount(options: str, place: Path) -> tuple[str, ...]:
    """Return the command that runs another one with a new mount, such as `-t tmpfs -o size=8k tmpfs`, at a place."""
    namespace = in_namespace("--map-root-user", "--mount")
    return (*namespace, "sh", "-c", f'mount {options} "$0" && exec "$@"', str(place))
