"""`up`: make a cluster, or find that it is there; whatever goes wrong on the way is taken down again."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cluster import (
    base_images,
    binaries,
    bridge,
    claim,
    components,
    control_plane,
    health,
    interrupts,
    journal,
    lock,
    node,
    packages,
    packet_filter,
    ports,
    progress,
    teardown,
)
from cluster.errors import ClusterError, UnmetError
from cluster.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster.paths import Home

_ATTEMPTS = 3


def control_plane_only(home: Home) -> None:
    """etcd, API server and controllers on free loopback ports; any number side by side, no root needed."""
    program_folder = binaries.build(binaries.CONTROL_PLANE)
    with lock.hold(home) as held:
        if not fresh(home, full=False):
            return
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                _control_plane_once(home, program_folder, held)
            except ClusterError as error:
                # A port found free may be taken before its component binds it; anything else is final.
                if attempt == _ATTEMPTS or "address already in use" not in str(error):
                    raise
            else:
                return


def _control_plane_once(home: Home, program_folder: Path, held: int) -> None:
    api_port, etcd_port, peer_port = ports.free(3)
    plan = components.Plan(
        home=home,
        bin=program_folder,
        network=components.Network(),
        api_port=api_port,
        etcd_port=etcd_port,
        etcd_peer_port=peer_port,
        full=False,
    )
    written = journal.Journal(home.journal)
    with undone_on_failure(home):
        supervisor = Supervisor(home, written.begin(full=False), held)
        control_plane.prepare(plan)
        control_plane.start(plan, supervisor)
        written.ready()
    progress.say(f"ready: {plan.server}, kubeconfig {home.kubeconfig}")


def full(home: Home) -> None:
    """A whole cluster of one node; one per machine."""
    packages.require_root("a full cluster")
    packages.ensure(packages.NODE)
    program_folder = binaries.build()
    pause = base_images.pause(program_folder)
    with lock.hold(home) as held:
        if not fresh(home, full=True):
            return
        written = journal.Journal(home.journal)
        with undone_on_failure(home):
            mark = written.begin(full=True)
            claim.take(home, written, teardown.run)
            plan = _full_plan(home, program_folder)
            bridge.check(plan.network)
            packet_filter.check()
            ports.check()
            control_plane.prepare(plan)
            node.prepare(plan)
            node.make_host(plan, written)
            node.start(plan, Supervisor(home, mark, held), pause)
            written.ready()
        progress.say(f"ready: {plan.server}, kubeconfig {home.kubeconfig}")


def _full_plan(home: Home, program_folder: Path) -> components.Plan:
    etcd_port, peer_port = ports.free(2)
    return components.Plan(
        home=home,
        bin=program_folder,
        network=components.Network(address="172.30.0.1", link="agenttype0"),
        api_port=6443,
        etcd_port=etcd_port,
        etcd_peer_port=peer_port,
        full=True,
    )


def fresh(home: Home, *, full: bool) -> bool:
    """Clean the folder of a dead cluster; False when a healthy one lives there already."""
    record = journal.read(home.journal)
    if record is not None and health.healthy(home, record):
        if record.full != full:
            raise UnmetError(
                f"{home.root} holds a running {'full cluster' if record.full else 'control plane'}",
                "take it down first, or name another folder with --dir",
            )
        progress.say(f"already up: kubeconfig {home.kubeconfig}")
        return False
    if record is not None:
        progress.say(f"clean the leftovers of a dead cluster in {home.root}")
    teardown.run(home)
    if foreign := sorted(path.name for path in home.root.iterdir() if path != home.lock):
        raise UnmetError(f"{home.root} is not empty and not ours ({foreign[0]})", "name another folder with --dir")
    return True


@contextlib.contextmanager
def undone_on_failure(home: Home) -> Iterator[None]:
    """Take down what was made if the body does not finish; logs, if anything ran, stay for the reader."""
    try:
        yield
    except BaseException as error:
        nothing_ran = isinstance(error, UnmetError)
        with interrupts.ignored():
            teardown.run(home, keep=not nothing_ran)
            if nothing_ran:
                lock.remove(home)
        raise
