"""`python -m tests.chaos`: rounds of chaos, for as long as it is wanted."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.rounds import Plan, run
from tests.chaos.world import world_at


def say(text: str) -> None:
    """With the time."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def main() -> int:
    """0 when nothing was wrong in any round."""
    options = _parser().parse_args()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="dartjobs-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    say(f"everything is in {folder}; seed {options.seed}")
    until, seed = time.monotonic() + 60 * options.minutes, options.seed
    ray = options.driver == "local"
    parts = {"driver": options.driver, "redis": options.redis, "cpu": options.cpu}
    with world_at(folder, database=options.database, **parts) as world:
        while True:
            plan = Plan(seed, options.jobs, patience=1_800.0, ray=ray)
            report = run(world, plan, say)
            say(f"round {seed}: {report}")
            seed += 1
            if report.faults:
                return 1
            if time.monotonic() >= until:
                return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next has the next number")
    parser.add_argument("--jobs", type=int, default=1_000, help="in each round")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin rounds for so long; 0 is one round")
    parser.add_argument("--database", choices=["mysql", "mariadb", "sqlite"], default="mysql")
    parser.add_argument("--driver", choices=["process", "local"], default="process")
    parser.add_argument("--no-redis", dest="redis", action="store_false", help="poll instead")
    parser.add_argument("--cpu", type=int, default=64, help="that the cluster says it has")
    parser.add_argument("--folder", help="where everything goes; by default a temporary folder, which is kept")
    return parser


if __name__ == "__main__":
    sys.exit(main())
