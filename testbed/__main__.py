"""`python -m testbed up | down | status | env` and `cluster …`: the servers that the tests of this repository use."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from testbed.errors import TestbedError
from testbed.processes import Process
from testbed.servers import KINDS, Server

_DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / ".testbed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; 0 if it was done (`status`: if all run)."""
    options = _parser().parse_args(arguments)
    folder: Path = options.folder.resolve()
    try:
        match options.command:
            case "up":
                ports = {name: getattr(options, f"{name}_port") for name in KINDS}
                up(folder, options.names, ports, durable=options.durable, keep=options.keep)
                return status(folder, options.names)
            case "down":
                down(folder)
                return 0
            case "status":
                return status(folder)
            case "cluster":
                return clusters(options, folder)
            case _:
                print(environment(folder), end="")
                return 0
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1


def up(folder: Path, names: Sequence[str], ports: dict[str, int], *, durable: bool, keep: bool) -> None:
    """Start every server that does not run; each keeps its port as long as its folder is there.

    Args:
        folder: data, logs and process ids.
        names: which servers.
        ports: by server; 0 takes a free one.
        durable: sync to disk at every commit.
        keep: start on the data of the last time instead of none.

    Raises:
        TestbedError: a server cannot be had or does not start; those that were started stay up.
    """
    for name in names:
        server = _recorded(folder, name)
        if server is not None and _runs(server):
            continue
        if not keep:
            shutil.rmtree(folder / name, ignore_errors=True)
        server = KINDS[name](folder / name, ports[name], durable=durable)
        server.start()
        _record(folder, server)


def down(folder: Path) -> None:
    """End every server that was started from this folder, and no other process."""
    for name in KINDS:
        server = _recorded(folder, name)
        if server is not None:
            server.stop()
            _record_of(folder, name).unlink()


def status(folder: Path, names: Sequence[str] = tuple(KINDS)) -> int:
    """Print a line a server; 0 if all of the named ones run."""
    running = 0
    for name in names:
        server = _recorded(folder, name)
        if server is None or server.process is None or not _runs(server):
            print(f"{name:10}down")
            continue
        running += 1
        print(f"{name:10}up    {server.url}    pid {server.process.pid}    {server.log}")
    return 0 if running == len(names) else 1


def clusters(options: argparse.Namespace, folder: Path) -> int:
    """What `cluster` says; it needs the project's own Python, the other commands any."""
    from testbed import clusters as module

    def say(line: str) -> None:
        print(line, flush=True)

    return module.main(options, folder, say)


def environment(folder: Path) -> str:
    """Lines for a shell's `eval`: the URL of every server that runs, for `make test`."""
    servers = [_recorded(folder, name) for name in KINDS]
    return "".join(f"export {one.variable}='{one.url}'\n" for one in servers if one is not None and _runs(one))


def _runs(server: Server) -> bool:
    return server.process is not None and server.process.is_alive()


def _record(folder: Path, server: Server) -> None:
    if server.process is not None:
        process = {"pid": server.process.pid, "started": server.process.started}
        _record_of(folder, server.name).write_text(json.dumps({"port": server.port, **process}))


def _recorded(folder: Path, name: str) -> Server | None:
    try:
        known = json.loads(_record_of(folder, name).read_text())
    except FileNotFoundError:
        return None
    server = KINDS[name](folder / name, known["port"])
    server.process = Process(known["pid"], known["started"])
    return server


def _record_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _kind(name: str) -> str:
    if name not in KINDS:
        msg = f"{name} is none of {', '.join(KINDS)}"
        raise argparse.ArgumentTypeError(msg)
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m testbed", description=__doc__)
    parser.add_argument("--folder", type=Path, default=_DEFAULT_FOLDER, help="data, logs, process ids (.testbed)")
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start MySQL, MariaDB and Redis; those that run are left alone")
    starting.add_argument("names", nargs="*", type=_kind, default=list(KINDS), metavar="NAME", help="default: all")
    for name in KINDS:
        starting.add_argument(f"--{name}-port", type=int, default=0, metavar="PORT", help="default: a free one")
    starting.add_argument("--durable", action="store_true", help="sync to disk at every commit, for benchmarks")
    starting.add_argument("--keep", action="store_true", help="go on with the data of the last time")
    commands.add_parser("down", help="end them")
    commands.add_parser("status", help="say which run; fails unless all do")
    commands.add_parser("env", help='print their URLs for eval "$(python -m testbed env)"')
    _add_cluster(commands.add_parser("cluster", help="real Kubernetes clusters with KubeRay; as root"))
    return parser


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    own = parser.add_subparsers(dest="cluster_command", required=True)
    own.add_parser("doctor", help="say whether this machine can run them; fails if not")
    own.add_parser("install", help="have apt install what Debian has of it")
    own.add_parser("build", help="build programs and image into the user's cache; what is there is left alone")
    starting = own.add_parser("up", help="start clusters; those that run are left alone")
    starting.add_argument("names", nargs="*", default=("east", "west"), metavar="NAME", help="default: east west")
    starting.add_argument("--without-node", action="store_true", help="control planes that run no pods: 1 GB less each")
    ending = own.add_parser("down", help="end them, and leave nothing of them")
    ending.add_argument("names", nargs="*", default=(), metavar="NAME", help="default: all")
    own.add_parser("status", help="say which run; fails unless all do that were started")
    own.add_parser("env", help="print their kubeconfigs for a shell's eval")


if __name__ == "__main__":
    sys.exit(main())
