"""Undo what a journal says, in the reverse order of making; safe to run on anything, any number of times."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from cluster import (
    api,
    bridge,
    cgroups,
    claim,
    journal,
    kernel,
    mounts,
    packet_filter,
    processes,
    progress,
    stray_files,
)
from cluster.errors import BrokenError

if TYPE_CHECKING:
    from cluster.paths import Home

_GRACE_SECONDS = 12.0  # the API server finishes open watches for up to ten
_POD_GRACE_SECONDS = 1
_PODS_GONE_SECONDS = 30.0
_SWEEPS = 5
_STOPPED_LAST = ("kube-apiserver", "etcd")  # each waits long for the one after it, if that went first
_MAKERS_OF_PODS = {"kube-scheduler", "kube-controller-manager"}


def run(home: Home, *, keep: bool = False) -> bool:
    """Leave nothing of the cluster but the lock, or also its files when asked; False when there was none."""
    record = journal.read(home.journal)
    if record is not None:
        if record.full:
            _delete_pods(home, record)
        with progress.step("stop the components", trivial=not record.processes) as shown:
            _stop_processes(record, shown)
        if record.full:
            with progress.step("remove what was made on the host", trivial=not record.processes):
                _clean_host(home, record)
        home.journal.rename(home.last_journal)
    if home.last_journal.exists() and not keep:
        with progress.step(f"remove the files in {home.root}", trivial=record is None or not record.processes):
            _empty(home)
    return record is not None


def _delete_pods(home: Home, record: journal.Record) -> None:
    """Let the kubelet end the pods, so that the CNI plugin gives back their links; by force what stays."""
    alive = [process for process in record.processes if processes.alive(process)]
    if not {"kube-apiserver", "kubelet"} <= {process.name for process in alive} or not home.kubeconfig.exists():
        return
    client = api.Client.of(home)
    if not client.ready():
        return
    processes.stop([process for process in alive if process.name in _MAKERS_OF_PODS], _GRACE_SECONDS)
    with progress.step("delete the pods") as shown:
        try:
            for pod in client.get("/api/v1/pods")["items"]:
                where = pod["metadata"]
                path = f"/api/v1/namespaces/{where['namespace']}/pods/{where['name']}"
                client.delete(path, _POD_GRACE_SECONDS)
            while client.get("/api/v1/pods")["items"] and shown.elapsed < _PODS_GONE_SECONDS:
                shown.tick()
                time.sleep(0.1)
        except api.UnreachableError as error:
            progress.say(f"the API server failed meanwhile; pods are ended by force ({error})")


def stopping_order(started: tuple[processes.Process, ...]) -> list[processes.Process]:
    """Pure: the reverse of starting, but what others talk to goes last whenever it came."""
    last = [process for name in _STOPPED_LAST for process in started if process.name == name]
    return [process for process in reversed(started) if process not in last] + last


def _stop_processes(record: journal.Record, shown: progress.Step) -> None:
    for process in stopping_order(record.processes):
        if processes.alive(process):
            processes.stop([process], _GRACE_SECONDS, shown.tick)
    cgroups.kill(record, shown.tick)
    for _ in range(_SWEEPS):
        left = processes.marked(record.mark)
        if not left:
            return
        processes.stop(left, 1.0, shown.tick)
    names = ", ".join(f"{process.name} ({process.pid})" for process in processes.marked(record.mark))
    if names:
        raise BrokenError(f"processes do not end: {names}", "run `down` again")


def _clean_host(home: Home, record: journal.Record) -> None:
    mounts.unmount_below(home.root)
    packet_filter.undo(record)
    bridge.undo(record)
    cgroups.undo(record)
    kernel.undo(record)
    stray_files.undo(home, record)
    claim.undo(home, record)


def _empty(home: Home) -> None:
    """Remove the folder's content, the sign that it is ours last, so that a second try may follow the first."""
    for path in sorted(home.root.iterdir(), key=lambda path: path == home.last_journal):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != home.lock:
            path.unlink()
