"""The same trace of operations leaves the same rows on every engine."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from dartjobs.models.spec import JobSpec
from dartjobs.store import tables
from tests.fakes.engines import ENGINES, url_on
from tests.properties.faults import Fault
from tests.properties.simulation import Facts, Service, Simulation, open_simulation
from tests.properties.test_store_machine import CHANGES, SECONDS_OF_STEPS, SPECS, WORK

STEPS = 90
MORE = ["time", "lease", "lease", "serve", "serve", "serve", "control", "job", "world", "world"]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("engine", ENGINES)
async def test_engines_agree(engine: str, seed: int, tmp_path: Path) -> None:
    """SQLite with itself, too: else a difference would say nothing about the engine."""
    there, reference = await rows_after(engine, tmp_path, seed), await rows_after("sqlite", tmp_path, seed)
    assert len(reference["transitions"]) > 12
    for table, rows in reference.items():
        assert there[table] == rows, table


async def rows_after(engine: str, folder: Path, seed: int) -> dict[str, list[dict[str, Any]]]:
    """All rows that a trace of this seed leaves."""
    async with url_on(engine, folder) as url, open_simulation(url) as simulation:
        await simulation.take_lease(simulation.services[0])
        random = Random(seed)
        for kind in random.sample(list(SPECS), 4):
            await simulation.submit(JobSpec.model_validate({"entrypoint": "true", **SPECS[kind]}))
        for _ in range(STEPS):
            await step(simulation, random)
        await simulation.heal(rounds=12)
        return normalized(await simulation.facts())


async def step(simulation: Simulation, random: Random) -> None:
    """One of all that can happen."""
    service = simulation.services[random.randrange(2)]
    fault, after, place = random.choice([None, None, *Fault]), random.randrange(4), random.randrange(100)
    what = random.choice([*MORE, *WORK])
    match what:
        case "time":
            simulation.clock.now += random.choice(SECONDS_OF_STEPS)
        case "control":
            await simulation.control()
        case "job":
            ask = random.choice([simulation.stop, simulation.requeue, simulation.requeue])
            await ask(random.choice(simulation.jobs))
        case "world":
            await change(simulation, random, place)
        case _ if service.paused is not None:
            await simulation.go_on(service)
        case _ if not service.is_up or what == "lease":
            await simulation.take_lease(service)
        case _:
            await work(simulation, service, what, place=place, fault=fault, after=after)


async def work(
    simulation: Simulation, service: Service, what: str, *, place: int, fault: Fault | None, after: int
) -> None:
    """The Sync Service does something."""
    live = await simulation.live()
    match what:
        case "serve":
            await simulation.serve(service)
        case "claim":
            await simulation.claim(service, fault, after)
        case "answer":
            await simulation.answer_wakeups(service, fault, after)
        case "sweep":
            await simulation.sweep(service, fault, after)
        case _ if not live:
            return
        case _:
            await simulation.look(service, live[place % len(live)], fault, after)


async def change(simulation: Simulation, random: Random, place: int) -> None:
    """Something happens in the world, and a report arrives."""
    world, heads = simulation.world, sorted(simulation.world.heads)
    what = random.choice(["starts", "starts", *CHANGES])
    if what == "network":
        world.reachable = random.random() < 0.8
    elif heads:
        world.change(what, heads[place % len(heads)], told=random.random() < 0.8)
    if world.reports:
        await simulation.deliver(world.reports.pop(0))


def normalized(facts: Facts) -> dict[str, list[dict[str, Any]]]:
    """Without what is drawn by lot."""
    found = {name: list(rows) for name, rows in facts.rows.items()}
    found[tables.wakeups.name] = [{**row, "gen": ""} for row in found[tables.wakeups.name]]
    return found
