"""Write the examples that the adapters learn from, green.jsonl and red.jsonl, beside this file.

    python3 examples/adapters/data.py             # writes; same seed, same bytes
    python3 examples/adapters/data.py --check     # says whether they are fresh

A line is {"split", "system", "user", "answer"}. `split` is `train`, or says what is new in a held-out line:
`values` (known sentences, unseen users, hosts, addresses and norms) or `patterns` (unseen sentences too) for
green; `topics` for red. Half of the lines have a system message, half of green's a norm.
"""

from __future__ import annotations

import json
import random
import string
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import topics
from families import FAMILIES, Family

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
SEED = 20
GREEN_TRAIN, GREEN_HELD_OUT = 1280, 96
RED_TRAIN, RED_HELD_OUT = 480, 40

SYSTEM = {
    "train": (
        "You are a helpful assistant.",
        "You watch the logs of a small company.",
        "You are a careful security analyst. Be brief.",
        "Answer in one line.",
        "You are an agent in a team of agents. Other agents read what you say, so be exact and short.",
        "Help the operator on duty.",
        "You are a member of a red team and of a blue team by turns.",
        "Be polite. Do not invent facts.",
    ),
    "held out": (
        "You are an AI agent that works for the operations team.",
        "You think about security all day. Say only what you know.",
        "You are Green, who reads, or Red, who asks.",
    ),
}
# Two lists of each kind without a common member: held-out lines are made of the second.
USERS = {
    "train": [
        "alice",
        "bob",
        "carol",
        "dave",
        "root",
        "admin",
        "deploy",
        "mallory",
        "oscar",
        "peggy",
        "sybil",
        "trent",
        "ivan",
        "judy",
        "niaj",
        "olivia",
        "rupert",
        "svc-backup",
        "svc-web",
        "jenkins",
        "gitlab",
        "www-data",
        "ubuntu",
        "oracle",
        "hadoop",
        "test",
        "guest",
        "ftp",
        "nagios",
        "ansible",
        "maria",
        "jsmith",
        "kchan",
        "lmeyer",
        "pnovak",
        "backup",
        "operator",
    ],
    "held out": [
        "eve",
        "victor",
        "wendy",
        "zoe",
        "svc-mail",
        "terraform",
        "pi",
        "tomcat",
        "hnguyen",
        "rossi",
        "minecraft",
        "ec2-user",
    ],
}
HOSTS = {
    "train": [
        "web-1",
        "web-2",
        "db-1",
        "db-3",
        "mail",
        "gw-1",
        "build-7",
        "node-12",
        "files",
        "proxy-a",
        "app-4",
        "cache-2",
    ],
    "held out": ["web-9", "vault-1", "edge-3", "lab-5"],
}
SERVICES = {
    "train": [
        "nginx",
        "postgres",
        "redis",
        "billing",
        "orders",
        "search",
        "ssh",
        "docker",
        "prometheus",
        "mail",
        "inventory",
        "ntp",
        "ledger",
    ],
    "held out": ["grafana", "payments", "haproxy", "catalogue"],
}
TASKS = {
    "train": ["backup", "rotate-logs", "cleanup", "report", "sync-clock", "renew-cert", "index", "vacuum"],
    "held out": ["prune-cache", "snapshot", "apt-download"],
}
DOMAINS = {
    "train": ["deb.mirror.example", "updates.vendor.example", "registry.internal", "time.example", "git.corp.internal"],
    "held out": ["security.mirror.example", "files.corp.internal"],
}
NETWORKS = {
    "train": ["10.0.", "10.1.", "10.20.", "172.16.", "192.168.", "198.51.", "203.0.", "45.9.", "91.2.", "185.7."],
    "held out": ["10.99.", "192.0.", "77.4."],
}
WORDS = {"train": "aeiou", "held out": "aou"}


def values(pools: str, rng: random.Random) -> dict[str, str | int]:
    """Draw one value for every placeholder of a pattern."""

    def word() -> str:
        vowels = WORDS[pools]
        return "".join(rng.choice("bdfgklmnprstvz") + rng.choice(vowels) for _ in range(rng.randint(2, 3)))

    def address() -> str:
        return f"{rng.choice(NETWORKS[pools])}{rng.randint(0, 200)}.{rng.randint(2, 250)}"

    return {
        "user": rng.choice(USERS[pools]),
        "user2": rng.choice(USERS[pools]),
        "host": rng.choice(HOSTS[pools]),
        "service": rng.choice(SERVICES[pools]),
        "task": rng.choice(TASKS[pools]),
        "domain": rng.choice(DOMAINS[pools]),
        "ip": address(),
        "ip2": address(),
        "port": rng.randint(1024, 65000),
        "badport": rng.choice((1337, 4444, 5555, 8888, 9001, 31337)),
        "pid": rng.randint(2, 32000),
        "n": rng.randint(2, 60),
        "many": rng.randint(200, 9000),
        "nic": rng.choice(("eth0", "eth1", "ens3", "bond0", "wlan0")),
        "hex": "".join(rng.choice(string.hexdigits[:16]) for _ in range(10)),
        "long": "".join(rng.choice(string.hexdigits[:16]) for _ in range(32)),
        "word": word(),
        "word2": word(),
    }


def log_line(program: str, message: str, rng: random.Random, host: str) -> str:
    """Put `message` into one of the forms in which logs reach an agent."""
    pid, clock = rng.randint(2, 32000), f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"
    return rng.choice(
        (
            message,
            f"{program}: {message}",
            f"{program}[{pid}]: {message}",
            f"{program}[{pid}]: {message}",
            f"Nov {rng.randint(1, 30):2} {clock} {host} {program}[{pid}]: {message}",
            f"2026-11-{rng.randint(1, 30):02}T{clock}Z {host} {program}[{pid}]: {message}",
            f"{host} {program}: {message}",
        )
    )


def green_line(split: str, number: int, rng: random.Random) -> dict[str, str | None]:
    """Make one example of a verdict; even numbers are benign, and the families take turns."""
    family: Family = list(FAMILIES.values())[number // 2 % len(FAMILIES)]
    verdict = ("benign", "suspicious")[number % 2]
    patterns = (family.benign, family.suspicious)[number % 2]
    pattern, reason = patterns[-1] if split == "patterns" else rng.choice(patterns[:-1])
    pools = "train" if split == "train" else "held out"
    drawn = values(pools, rng)
    line = log_line(rng.choice(family.programs), pattern.format(**drawn), rng, str(drawn["host"]))
    # Sometimes another program's norm: it may inform a verdict and must not make one.
    source = rng.choice((family, family, rng.choice(list(FAMILIES.values()))))
    norms = source.norms[:-1] if split == "train" else family.norms[-1:]
    return {
        "split": split,
        "system": rng.choice((None, rng.choice(SYSTEM[pools]))),
        "user": rng.choice((line, f"Norm: {rng.choice(norms)}\n{line}")),
        "answer": f"VERDICT: {verdict} | REASON: {reason}",
    }


def red_line(split: str, number: int, rng: random.Random) -> dict[str, str | None]:
    """Make one example of a probe; the topics take turns."""
    pool, pools = (topics.TRAINED, "train") if split == "train" else (topics.HELD_OUT, "held out")
    topic = pool[number % len(pool)]
    return {
        "split": split,
        "system": rng.choice((None, rng.choice(SYSTEM[pools]))),
        "user": f"Topic: {topic}",
        "answer": f"PROBE: {rng.choice(topics.QUESTIONS).format(topic=topic)}?",
    }


def green() -> Iterator[dict[str, str | None]]:
    """Yield all examples of the green adapter."""
    rng = random.Random(SEED)
    for split, count in (("train", GREEN_TRAIN), ("values", GREEN_HELD_OUT), ("patterns", GREEN_HELD_OUT)):
        for number in range(count):
            yield green_line(split, number, rng)


def red() -> Iterator[dict[str, str | None]]:
    """Yield all examples of the red adapter."""
    rng = random.Random(SEED)
    for split, count in (("train", RED_TRAIN), ("topics", RED_HELD_OUT)):
        for number in range(count):
            yield red_line(split, number, rng)


def main() -> None:
    for name, lines in (("green", green()), ("red", red())):
        file, text = HERE / f"{name}.jsonl", "".join(json.dumps(line) + "\n" for line in lines)
        if sys.argv[1:] != ["--check"]:
            file.write_text(text)
        elif file.read_text() != text:
            raise SystemExit(f"{file.name} is not what data.py writes; run: python3 examples/adapters/data.py")
        print(f"{file.name}: {text.count(chr(10))} examples")


if __name__ == "__main__":
    main()
