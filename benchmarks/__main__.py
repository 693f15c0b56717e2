"""`python -m benchmarks` lists the benchmarks; `python -m benchmarks NAME …` runs some, `--all` every one."""

import argparse
import asyncio
import importlib
import pkgutil
import signal
import sys
from collections.abc import AsyncIterator
from typing import Protocol

import uvloop

from benchmarks import machine, results, suite
from benchmarks.effort import Effort
from benchmarks.figures import Figure


class Benchmark(Protocol):
    """A module of `suite`: its docstring's first line says what it measures."""

    __doc__: str | None

    def run(self, effort: Effort) -> AsyncIterator[Figure]:
        """Its figures, as they come."""
        ...


def main() -> int:
    """1 if a benchmark could not be run; whether goals are met is for the reader."""
    known = [module.name for module in pkgutil.iter_modules(suite.__path__)]
    asked = _arguments(known)
    if not asked.names and not asked.all:
        for name in known:
            print(f"{name:18}{_summary(_load(name))}")
        return 0
    names = known if asked.all else asked.names
    print(f"# {machine.head()}", flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return max(runner.run(_run(name, Effort(brief=asked.brief), save=asked.save)) for name in names)


def _arguments(known: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--all", action="store_true", help="run every one")
    parser.add_argument("--brief", action="store_true", help="only see that it works: the figures are rough")
    parser.add_argument("--save", action="store_true", help="rewrite its section of benchmarks/RESULTS.md")
    asked = parser.parse_args()
    unknown = sorted(set(asked.names) - set(known))
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}: there are {', '.join(known)}")
    return asked


async def _run(name: str, effort: Effort, *, save: bool) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    module = _load(name)
    head, lines, failed = machine.head(), [], 0
    print(f"\n## {name}: {_summary(module)}", flush=True)
    try:
        async for figure in module.run(effort):
            lines.append(str(figure))
            print(figure, flush=True)
    except Exception as error:  # noqa: BLE001 - the others are run all the same
        failed = 1
        print(f"{name} FAILED: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        lines.append(f"failed here: {type(error).__name__}")
    if save and not (effort.brief or failed):
        results.save(results.RESULTS, name, _summary(module), head, lines)
    return failed


def _load(name: str) -> Benchmark:
    module: Benchmark = importlib.import_module(f"benchmarks.suite.{name}")
    return module


def _summary(module: Benchmark) -> str:
    return (module.__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
