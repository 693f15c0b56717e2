"""Writes those parts of the docs that say what the code decides: `make docs`. A test checks that they are current."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from dartjobs.api.settings import ApiSettings
from dartjobs.bus.settings import BusSettings
from dartjobs.cli.main import cli
from dartjobs.cli.servers.settings import LocalClusterSettings, ServerSettings
from dartjobs.controller.settings import ControllerSettings
from dartjobs.drivers.kuberay.settings import KubeRaySettings
from dartjobs.gateway.settings import GatewaySettings
from dartjobs.models.reason import FACTS
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import INITIAL, LEGAL_PAIRS, MOVES, Pair, neighbours
from dartjobs.store.settings import DatabaseSettings
from dartjobs.sync.settings import SyncSettings

SETTINGS: tuple[type[BaseSettings], ...] = (
    DatabaseSettings,
    ServerSettings,
    BusSettings,
    ApiSettings,
    SyncSettings,
    LocalClusterSettings,
    KubeRaySettings,
    GatewaySettings,
    ControllerSettings,
)
DOCS = Path(__file__).resolve().parent.parent / "docs"
_WIDTH = 100
_BEGIN, _END = "<!-- make docs writes from here -->", "<!-- to here -->"


def pages() -> dict[Path, str]:
    """The whole text of each page that has a generated part.

    Raises:
        ValueError: a page has lost the markers around its generated part.
    """
    return {
        DOCS / "state-machine.md": _replaced(DOCS / "state-machine.md", f"{state_diagram()}\n{pairs_table()}"),
        DOCS / "cli.md": _replaced(DOCS / "cli.md", commands()),
        DOCS / "operations.md": _replaced(DOCS / "operations.md", variables()),
        DOCS / "reference/reasons.md": _replaced(DOCS / "reference/reasons.md", reasons_table()),
        DOCS / "reference/jobspec.schema.json": jobspec_schema(),
    }


def state_diagram() -> str:
    """The legal pairs and the moves that skip none of them, for Mermaid."""
    lines = [f'    state "{pair}" as {_id(pair)}' for pair in LEGAL_PAIRS]
    lines.append(f"    [*] --> {_id(INITIAL)}")
    lines += [f"    {_id(source)} --> {_id(target)}" for source, target in neighbours()]
    lines += [f"    {_id(pair)} --> [*]" for pair in LEGAL_PAIRS if not MOVES[pair]]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```", ""])


def pairs_table() -> str:
    """Every legal pair with its meaning."""
    return _table(("resource_state", "job_state", "meaning"), [(*pair, LEGAL_PAIRS[pair]) for pair in LEGAL_PAIRS])


def reasons_table() -> str:
    """Every reason with its category, meaning and advice."""
    rows = [(f"`{reason}`", facts.category or "", facts.meaning, facts.advice) for reason, facts in FACTS.items()]
    return _table(("reason", "category", "meaning", "what to do"), rows)


def commands() -> str:
    """The help of the program and of each of its commands."""
    context = cli.make_context("dartjobs", [], resilient_parsing=True, terminal_width=_WIDTH)
    parts = [_help("dartjobs", cli, context)]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is not None:
            parts += _helps(f"dartjobs {name}", command, click.Context(command, context, name))
    return "\n".join(parts)


def variables() -> str:
    """Every environment variable that a server reads."""
    rows = [
        (f"`{kind.model_config.get('env_prefix', '')}{name}`".upper(), _default(field), field.description or "")
        for kind in SETTINGS
        for name, field in kind.model_fields.items()
    ]
    return _table(("variable", "default", "meaning"), rows)


def jobspec_schema() -> str:
    """The JSON Schema of a JobSpec, as `GET /api/v1/schemas/jobspec` answers it."""
    return json.dumps(JobSpec.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(DOCS.parent))


def _helps(title: str, command: click.Command, context: click.Context) -> list[str]:
    below = command.commands if isinstance(command, click.Group) else {}
    parts = [_help(title, command, context)]
    for name, one in below.items():
        parts += _helps(f"{title} {name}", one, click.Context(one, context, name))
    return parts


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    return "" if field.default in (None, "", {}) else f"`{_shown(field.default)}`"


def _shown(value: object) -> str:
    return f"{value.total_seconds():.10g} s" if isinstance(value, timedelta) else str(value)


def _help(title: str, command: click.Command, context: click.Context) -> str:
    return f"## {title}\n\n```text\n{command.get_help(context)}\n```\n"


def _id(pair: Pair) -> str:
    return f"{pair.resource_state}_{pair.job_state}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *rows))


def _replaced(page: Path, part: str) -> str:
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        msg = f"{page} has no line {(_BEGIN if not begin else _END)!r}"
        raise ValueError(msg)
    return f"{before}{begin}\n\n{part}\n{end}{after}"


if __name__ == "__main__":
    main()
