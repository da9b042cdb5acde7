import os
import subprocess
import sys

import pytest

from cluster import journal, processes


@pytest.fixture
def written(tmp_path):
    fresh = journal.Journal(tmp_path / "journal.jsonl")
    fresh.begin(full=True)
    return fresh


@pytest.fixture
def sleeper():
    child = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"], stdout=-1)
    child.stdout.readline()
    yield child
    child.kill()
    child.communicate()


def identity(child, **changed):
    known = {
        "name": "sleeper",
        "pid": child.pid,
        "start": processes.start_time(child.pid),
        "boot": processes.boot_id(),
        "program": sys.executable,
    }
    return processes.Process(**(known | changed))


def test_a_folder_without_a_journal_holds_no_cluster(tmp_path):
    assert journal.read(tmp_path / "journal.jsonl") is None


def test_what_was_recorded_is_read_back(written):
    written.effect("link", "agenttype0")
    written.effect("sysctl", "net/ipv4/ip_forward", before="0")
    record = journal.read(written.path)
    assert record.full
    assert not record.ready
    assert record.effects == (
        journal.Effect("link", "agenttype0"),
        journal.Effect("sysctl", "net/ipv4/ip_forward", "0"),
    )


def test_a_writer_killed_in_the_middle_of_a_line_spoils_that_line_only(written):
    written.effect("link", "agenttype0")
    with written.path.open("a") as file:
        file.write('{"effect": "li')
    assert journal.read(written.path).names("link") == ["agenttype0"]


def test_a_line_after_a_torn_one_is_still_read(written):
    with written.path.open("a") as file:
        file.write('{"effect": "li')
    written.effect("link", "agenttype0")
    written.effect("link", "agenttype1")
    assert journal.read(written.path).names("link") == ["agenttype1", "agenttype0"]


def test_effects_are_undone_in_the_reverse_order_and_once(written):
    for name in ("first", "second", "first"):
        written.effect("path", name)
    assert journal.read(written.path).names("path") == ["first", "second"]


def test_the_journal_is_private_to_its_owner(written):
    assert written.path.stat().st_mode & 0o777 == 0o600


def test_a_running_process_is_known_by_its_record(sleeper):
    assert processes.alive(identity(sleeper))


@pytest.mark.parametrize("other", [{"start": 1}, {"boot": "another boot"}, {"program": "/bin/another"}])
def test_a_process_that_got_the_pid_of_a_recorded_one_is_not_mistaken_for_it(sleeper, other):
    assert not processes.alive(identity(sleeper, **other))


def test_a_process_that_got_the_pid_of_a_recorded_one_is_never_signalled(sleeper):
    processes.stop([identity(sleeper, start=1)], grace=0.0)
    assert sleeper.poll() is None


def test_a_recorded_process_is_stopped(sleeper):
    process = identity(sleeper)
    processes.stop([process], grace=5.0)
    assert not processes.alive(process)


def test_a_process_that_ignores_the_request_is_killed():
    stubborn = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=-1)
    child.stdout.readline()
    processes.stop([identity(child)], grace=0.1)
    child.communicate()
    assert child.returncode == -9


def test_a_process_that_nobody_recorded_is_found_by_its_mark():
    child = subprocess.Popen(["sleep", "600"], env=os.environ | {processes.MARK: "mark-of-this-test"})
    found = processes.marked("mark-of-this-test")
    child.kill()
    child.wait()
    assert [process.pid for process in found] == [child.pid]
    assert processes.marked("mark-of-this-test") == []
