"""Real clusters for tests: a control plane of one's own in seconds, or the one full node of this machine.

Both give the path of an administrator's kubeconfig; the audit log of every request lies beside it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
REUSE = "AGENTTYPE_E2E_DIR"


@contextlib.contextmanager
def control_plane() -> Iterator[Path]:
    """An API server of one's own (CRDs, RBAC, tokens, controllers; no node), as a kubeconfig path."""
    run("build", "--check", "--control-plane-only")
    with tempfile.TemporaryDirectory(prefix="agenttype-") as folder:
        where = ("--dir", folder)
        try:
            run("up", "--control-plane-only", *where)
            yield Path(folder) / "kubeconfig"
        finally:
            run("down", "--keep", *where)


@contextlib.contextmanager
def embedded_cluster() -> Iterator[Path]:
    """The full cluster, as a kubeconfig path: the one in $AGENTTYPE_E2E_DIR, left running, else a fresh one."""
    if reused := os.environ.get(REUSE):
        run("status", "--dir", reused)
        yield Path(reused) / "kubeconfig"
        return
    run("build", "--check")
    with tempfile.TemporaryDirectory(prefix="agenttype-") as folder:
        where = ("--dir", folder)
        try:
            run("up", *where)
            yield Path(folder) / "kubeconfig"
        finally:
            run("down", "--keep", *where)


def audit_log(kubeconfig: Path) -> Path:
    """The audit log of a cluster: one JSON event a line."""
    return kubeconfig.parent / "audit.log"


def tool(name: str) -> Path:
    """A program of the cluster's cache, such as kubectl or helm."""
    return Path(run("build", "--check").strip()) / name


def run(*arguments: str) -> str:
    """Run the cluster's command line; its error, which tells the fix, becomes the test's."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "cluster"), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"python3 cluster {' '.join(arguments)}\n{done.stderr or done.stdout}")
    return done.stdout
