"""A ledger's files are damaged in every place; what is opened then has forgotten nothing, or is refused.

The files are those of a process that was killed: part of the record is in the file, part of it in SQLite's log. A log
is read up to its first damage, and what is behind that is dropped in silence; the mark beside the file notices.
"""

import shutil

import pytest
from agenttype_sidecar.budget import ledger_file, ledger_watermark
from agenttype_sidecar.budget.amounts import Amounts
from agenttype_sidecar.budget.ledger import Clock, Ledger, Stopped
from agenttype_sidecar.errors import StartError
from support.memory_folders import memory_folder

NOON = 1_795_262_400.0
CALL = Amounts(300_123, 200_456, 1, 400_000_000)
FILE, LOG, MARK = ledger_file.FILE, f"{ledger_file.FILE}-wal", ledger_watermark.FILE
#: What a byte is changed by: each bit alone, and all of them; places take turns.
FLIPS = (0xFF, 1, 2, 4, 8, 16, 32, 64, 128)
PAGE = 1024
#: Logs are sealed alike in every place, so it is enough to look at some: at every place within a page in turn.
SOME = 7
#: More bytes than the row of a response has.
LAST_ROW = 35


def at(minutes):
    return Clock(lambda: NOON + 60 * minutes, lambda: 60.0 * minutes)


def spent(folder):
    """What a ledger of the second minute says of everything that must not shrink."""
    ledger = Ledger(folder, at(1))
    try:
        assert ledger.responses.backend("resp_1") in {"shared", None}
        balances = ledger.balances
        counts = [amount for key in sorted(balances.counts) for amount in balances.spent_in(key)]
        drawn = [-amount for _, amount in sorted(ledger.all_drawn().items())]
        return [
            *balances.spent,
            *counts,
            *drawn,
            ledger.tool_calls.of("crm"),
            ledger.elapsed_ms,
            ledger.stopped is not None,
        ]
    finally:
        ledger.close()


@pytest.fixture
def run():
    with memory_folder() as folder:
        yield folder / "run"


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The files of a ledger in its second life, copied while it was open: what a kill leaves."""
    folder = tmp_path_factory.mktemp("killed")
    first = Ledger(folder, at(0))
    hold = first.reserve(CALL)
    first.dispatch(hold)
    first.settle(hold, CALL)
    first.draw("team.agent.day", 7, 500)
    first.tool_calls.add("crm", 3)
    first.dispatch(first.reserve(CALL))
    first.close()
    second = Ledger(folder, at(1))
    second.stop(Stopped("hash", "the rule says so"))
    second.responses.keep("resp_1", "shared")
    second.dispatch(second.reserve(CALL))
    second.dispatch(second.reserve(CALL))
    assert second.flush()
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    second.close()
    return files


@pytest.fixture(scope="module")
def at_rest(killed, tmp_path_factory):
    """The same, with all of the record in the file: two calls are under way, and there is no log."""
    folder = put(tmp_path_factory.mktemp("at_rest"), killed)
    db = ledger_file.opened(folder / FILE, ledger_watermark.Watermark(folder))
    db.close()
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert LOG not in files
    return files


def put(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def flipped(data, place):
    changed = bytearray(data)
    changed[place] ^= FLIPS[place % len(FLIPS)]
    return bytes(changed)


def refused(folder, files, damages):
    """Open the ledger with each damage; return how many were refused, where all others forgot nothing."""
    truth, refusals = spent(put(folder, files)), 0
    for number, (name, data) in enumerate(damages):
        try:
            found = spent(put(folder, files | {name: data}))
        except StartError:
            refusals += 1
        else:
            assert len(found) == len(truth), number
            assert all(ours >= true for ours, true in zip(found, truth, strict=True)), (number, found, truth)
    return refusals


@pytest.mark.timeout(300)
def test_no_changed_byte_of_the_file_makes_a_run_forget(at_rest, run):
    data = at_rest[FILE]
    damages = [(FILE, flipped(data, place)) for place in range(len(data))]
    assert refused(run, at_rest, damages) > 500


@pytest.mark.timeout(300)
def test_no_changed_byte_of_the_log_makes_a_run_forget(killed, run):
    log = killed[LOG]
    damages = [(LOG, flipped(log, place)) for place in range(0, len(log), SOME)]
    assert refused(run, killed, damages) == len(damages)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [FILE, LOG])
def test_no_file_that_was_cut_short_makes_a_run_forget(killed, at_rest, run, name):
    files = at_rest if name == FILE else killed
    data = files[name]
    lengths = sorted({*range(0, len(data), SOME), *range(0, len(data), PAGE)})
    # The last row of the file is a response's; one that has lost its end is nobody's response.
    assert refused(run, files, [(name, data[:length]) for length in lengths]) >= len(lengths) - LAST_ROW // SOME


def test_no_changed_byte_of_the_mark_makes_a_run_forget(killed, run):
    data = killed[MARK]
    damages = [(MARK, flipped(data, place)) for place in range(len(data))]
    assert refused(run, killed, damages) == len(damages)


@pytest.mark.parametrize("name", [FILE, LOG, MARK])
def test_no_file_that_is_missing_makes_a_run_forget(killed, run, name):
    folder = put(run, killed)
    (folder / name).unlink()
    with pytest.raises(StartError):
        Ledger(folder)


def test_a_log_that_was_damaged_once_is_refused_ever_after(killed, run):
    folder = put(run, killed | {LOG: flipped(killed[LOG], len(killed[LOG]) // 2)})
    for _ in range(3):
        with pytest.raises(StartError, match="records are missing"):
            Ledger(folder)
