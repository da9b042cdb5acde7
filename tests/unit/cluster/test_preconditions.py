import os
import shutil
import signal
import socket
from types import SimpleNamespace

import pytest

from cluster import binaries, bridge, claim, components, interrupts, journal, packages, paths, ports
from cluster.errors import StoppedError, UnmetError


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.usefixtures("empty_cache")
def test_a_machine_without_go_is_told_which_go_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnmetError, match=r"`go` is not on PATH\. Fix: install Go 1\.26 or newer"):
        binaries.build(["etcd"])


@pytest.mark.usefixtures("empty_cache")
def test_an_older_go_is_named_with_the_version_that_is_needed(monkeypatch, tmp_path):
    (tmp_path / "go").write_text("#!/bin/sh\necho go1.20.1\n")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnmetError, match=r"Go 1\.20\.1 is older than 1\.26"):
        binaries.build(["etcd"])


@pytest.mark.usefixtures("empty_cache")
def test_a_first_build_on_a_full_disk_is_refused_before_it_begins(monkeypatch):
    monkeypatch.setattr(binaries, "_check_go", lambda: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**30))
    with pytest.raises(UnmetError, match=r"only 3\.0 GiB free"):
        binaries.build(["etcd"])


@pytest.mark.usefixtures("empty_cache")
def test_a_check_of_missing_binaries_names_the_command_that_builds_them():
    with pytest.raises(UnmetError, match="python3 cluster build"):
        binaries.check(["etcd"])


def test_an_ordinary_user_is_told_what_needs_no_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UnmetError, match="--control-plane-only"):
        packages.require_root("a full cluster")


def test_a_machine_without_apt_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(packages.commands, "find", lambda _: None)
    with pytest.raises(UnmetError, match=r"missing: nft.*Fix: install nftables"):
        packages.ensure((packages.Package("nftables", "nft"),))


def test_a_port_in_use_is_named_with_the_program_that_holds_it(monkeypatch):
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(ports, "NODE_TCP", {port: "the API server"})
        with pytest.raises(UnmetError, match=rf"port {port}/tcp, which the API server needs.*\(pid {os.getpid()}\)"):
            ports.check()


def test_a_listener_on_one_address_is_in_nobodys_way(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(ports, "NODE_TCP", {listener.getsockname()[1]: "the API server"})
        ports.check()


def test_a_link_that_nobody_recorded_is_named_with_the_command_that_removes_it():
    with pytest.raises(UnmetError, match="Fix: ip link delete lo"):
        bridge.check(components.Network(link="lo"))


def test_free_ports_differ():
    assert len(set(ports.free(20))) == 20


def test_the_claim_of_a_dead_cluster_is_taken_over_after_its_leftovers_are_cleaned(monkeypatch, tmp_path):
    monkeypatch.setattr(claim, "_FILE", tmp_path / "claim")
    dead, new = paths.Home(tmp_path / "dead"), paths.Home(tmp_path / "new")
    cleaned = []
    for home in (dead, new):
        home.root.mkdir()
        written = journal.Journal(home.journal)
        written.begin(full=True)
        claim.take(home, written, cleaned.append)
    assert cleaned == [dead]
    assert (tmp_path / "claim").read_text() == str(new.root)


def test_a_cluster_gives_back_its_own_claim_only(monkeypatch, tmp_path):
    monkeypatch.setattr(claim, "_FILE", tmp_path / "claim")
    (tmp_path / "claim").write_text("/another")
    written = journal.Journal(tmp_path / "journal.jsonl")
    written.begin(full=True)
    written.effect(claim.KIND, "claim")
    claim.undo(paths.Home(tmp_path), journal.read(written.path))
    assert (tmp_path / "claim").exists()


def test_a_termination_becomes_an_error_so_that_everything_is_undone():
    with pytest.raises(StoppedError, match="SIGTERM"), interrupts.raised():
        signal.raise_signal(signal.SIGTERM)


def test_undoing_is_not_undone_by_a_second_signal():
    with interrupts.raised(), interrupts.ignored():
        signal.raise_signal(signal.SIGTERM)
