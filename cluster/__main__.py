"""The command line: `python3 cluster COMMAND`."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

if __package__ in {None, ""}:  # run as a folder: the folder itself is on the path, its parent must be
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from cluster import binaries, bring_up, claim, health, images, interrupts, journal, lock, paths, progress, teardown
from cluster.errors import ClusterError, UnmetError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        if not sys.platform.startswith("linux"):
            raise UnmetError(f"the embedded cluster needs Linux, not {sys.platform}", "use kind, or a Linux machine")
        with interrupts.raised():
            return int(options.command(options))
    except ClusterError as error:
        progress.say(f"error: {error}")
        return error.exit_code
    except OSError as error:  # a file or command of this machine; its own text names which
        progress.say(f"error: {error}")
        return ClusterError.exit_code


def _build(options: argparse.Namespace) -> int:
    names = binaries.CONTROL_PLANE if options.control_plane_only else None
    if options.check:
        binaries.check(names)
    print(binaries.build(names))
    return 0


def _up(options: argparse.Namespace) -> int:
    if options.control_plane_only:
        bring_up.control_plane_only(options.dir)
    else:
        bring_up.full(options.dir)
    return 0


def _down(options: argparse.Namespace) -> int:
    home: paths.Home = options.dir
    if not home.root.exists():
        progress.say(f"nothing to do: no cluster in {home.root}")
        return 0
    with lock.hold(home):
        there = teardown.run(home, keep=options.keep)
        if not options.keep:
            lock.remove(home)
    progress.say("down" if there else f"nothing to do: no cluster in {home.root}")
    return 0


def _status(options: argparse.Namespace) -> int:
    home: paths.Home = options.dir
    record = journal.read(home.journal)
    if record is None:
        print(f"no cluster in {home.root}")
        return 1
    for line in health.lines(record):
        print(f"{line.name:24} {line.pid:>8}  {'up' if line.up else 'DOWN'}")
    healthy = health.healthy(home, record)
    print(f"{'cluster':24} {'':>8}  {'healthy' if healthy else 'NOT HEALTHY'}")
    print(f"kubeconfig {home.kubeconfig}")
    return 0 if healthy else 1


def _exec_env(options: argparse.Namespace) -> int:
    print(
        f"export KUBECONFIG={shlex.quote(str(options.dir.kubeconfig))} PATH={shlex.quote(str(binaries.folder()))}:$PATH"
    )
    return 0


def _image_build(options: argparse.Namespace) -> int:
    arguments = dict(pair.partition("=")[::2] for pair in options.build_arg)
    print(images.build(images.Build(options.tag, options.file.absolute(), options.context.absolute(), arguments)))
    return 0


def _image_load(options: argparse.Namespace) -> int:
    images.load(options.dir, options.names)
    return 0


def _home(text: str) -> paths.Home:
    return paths.Home(Path(text).absolute())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 cluster", description="A real Kubernetes without Docker.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    usual = paths.Home(paths.default_home())
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--dir", type=_home, default=usual, help=f"the cluster's folder ({usual.root})")
    which = argparse.ArgumentParser(add_help=False)
    which.add_argument(
        "--dir", type=_home, default=claim.holder() or usual, help="a cluster's folder (that of this machine's cluster)"
    )

    build = commands.add_parser("build", help="build the pinned binaries into the cache")
    build.add_argument("--control-plane-only", action="store_true", help="only what a control plane needs")
    build.add_argument("--check", action="store_true", help="build nothing; fail when something is missing")
    build.set_defaults(command=_build)

    up = commands.add_parser("up", parents=[where], help="make the cluster, or find it there")
    up.add_argument("--control-plane-only", action="store_true", help="no node: API server on a free port, no root")
    up.set_defaults(command=_up)

    down = commands.add_parser("down", parents=[where], help="remove the cluster and all that it made")
    down.add_argument("--keep", action="store_true", help="keep its folder: logs, audit log, store")
    down.set_defaults(command=_down)

    status = commands.add_parser("status", parents=[which], help="each component, and whether it lives")
    status.set_defaults(command=_status)

    image = commands.add_parser("image", help="build and load images").add_subparsers(required=True, metavar="ACTION")
    make = image.add_parser("build", help="build a Dockerfile, unless nothing changed; BASE is our base image")
    make.add_argument("-t", "--tag", required=True, help="the image's name")
    make.add_argument("-f", "--file", type=Path, required=True, help="the Dockerfile")
    make.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="for the Dockerfile's ARG")
    make.add_argument("context", type=Path, help="the folder that COPY reads from")
    make.set_defaults(command=_image_build)
    load = image.add_parser("load", parents=[which], help="put built images, `base` or `pause` into the node")
    load.add_argument("names", nargs="+", help="names as given to `image build`")
    load.set_defaults(command=_image_load)

    environment = commands.add_parser("exec-env", parents=[which], help="print exports for kubectl and helm")
    environment.set_defaults(command=_exec_env)
    return parser


if __name__ == "__main__":
    sys.exit(main())
