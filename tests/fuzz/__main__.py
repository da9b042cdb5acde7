"""Fuzz what reads foreign bytes: `python tests/fuzz SECONDS [TARGET…]`.

Each target of `fuzz_targets` gets its share of the seconds, begins with the kept corpus and leaves there what covers
more than before, as small as it gets. Bytes that break a promise stay in `tests/fuzz/broken-<target>-…`, and the exit
status is 1. The kept corpus is replayed with the wire tests.
"""

import argparse
import base64
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LONGEST = 2048
sys.path.insert(0, str(HERE.parent))


def main() -> int:
    """Fuzz, or, as a child, be fuzzed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=int)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--as-child", help=argparse.SUPPRESS)
    arguments, flags = parser.parse_known_args()
    if arguments.as_child:
        return _child(arguments.targets[0], [arguments.as_child, *flags])
    from support.fuzz_targets import TARGETS  # noqa: PLC0415 — a child imports it under instrumentation

    chosen = arguments.targets or list(TARGETS)
    return max(_fuzz(name, arguments.seconds // len(chosen)) for name in chosen)


def _fuzz(name: str, seconds: int) -> int:
    kept = HERE / "corpus" / f"{name}.txt"
    with tempfile.TemporaryDirectory() as scratch:
        grown, small = Path(scratch, "grown"), Path(scratch, "small")
        grown.mkdir()
        small.mkdir()
        for line in kept.read_text().split():
            data = base64.b64decode(line)
            (grown / hashlib.sha256(data).hexdigest()).write_bytes(data)
        limits = [f"-max_len={LONGEST}", "-rss_limit_mb=2048", "-timeout=10", f"-artifact_prefix={HERE}/broken-{name}-"]
        again = Path(scratch, "again")  # libFuzzer starts itself anew where it makes a corpus small
        again.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE} 0 {name} --as-child {again} "$@"\n')
        again.chmod(0o755)
        status = _run(
            again,
            [f"-max_total_time={seconds}", "-print_final_stats=1", f"-dict={HERE}/words.dict", *limits, str(grown)],
        )
        _run(again, ["-merge=1", *limits, str(small), str(grown)])
        inputs = sorted((path.read_bytes() for path in small.iterdir()), key=lambda data: (len(data), data))
        kept.write_text("".join(base64.b64encode(data).decode() + "\n" for data in inputs if data))
    _tell(f"{name}: {len(inputs)} inputs kept, {'a promise is broken' if status else 'nothing broken'}")
    return int(status != 0)


def _run(fuzzer: Path, flags: list[str]) -> int:
    done = subprocess.run([fuzzer, *flags], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    _tell(done.stdout[-1500:])
    return done.returncode


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _child(name: str, flags: list[str]) -> int:
    try:
        import atheris  # noqa: PLC0415 — the parent needs none
    except ImportError:
        sys.exit("the fuzzer is not installed; it comes with `uv sync` on Linux on x86-64")
    with atheris.instrument_imports(include=["agenttype_proxy", "agenttype_sidecar"]):
        from support.fuzz_targets import TARGETS  # noqa: PLC0415 — see above
    atheris.Setup(flags, TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
