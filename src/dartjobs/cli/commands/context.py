"""`dartjobs context`."""

from typing import Any

import click

from dartjobs.cli.options import complete_contexts


@click.group
def command() -> None:
    """Name servers, and choose the one that is meant.

    They are kept in ~/.config/dartjobs/config.toml, or the file that DARTJOBS_CONFIG names.
    """


@command.command("list")
@click.option("--output", "-o", "form", type=click.Choice(["table", "json", "name"]), default="table")
def list_(form: str) -> None:
    """List contexts; the current one has a star."""
    from dataclasses import asdict

    from dartjobs.cli.output import show_data
    from dartjobs.cli.tables import table
    from dartjobs.client.contexts import config_path, read_contexts

    found = read_contexts(config_path())
    if form == "json":
        named = [{"name": name, "current": name == found.current, **asdict(one)} for name, one in found.named.items()]
        show_data(named, "json")
    elif form == "name":
        for name in found.named:
            click.echo(name)
    else:
        rows = [
            ("*" if name == found.current else "", name, one.url or "", one.namespace or "", one.user or "")
            for name, one in found.named.items()
        ]
        click.echo(table(("CURRENT", "NAME", "URL", "NAMESPACE", "USER"), rows))


@command.command
@click.argument("name", required=False, shell_complete=complete_contexts)
def show(name: str | None) -> None:
    """Show where commands lead: what each value is, after the environment had its say."""
    from dartjobs.cli.describe import facts
    from dartjobs.client.config import resolve
    from dartjobs.client.contexts import config_path

    chosen = resolve(context=name)
    click.echo(
        facts(
            [
                ("Context", chosen.context or "none"),
                ("URL", chosen.url),
                ("Namespace", chosen.namespace),
                ("User", chosen.user or ""),
                ("CA file", chosen.ca_file or ""),
                ("File", str(config_path())),
            ]
        )
    )


@command.command
@click.argument("name", shell_complete=complete_contexts)
def use(name: str) -> None:
    """Make it the one that is meant where nothing else is said."""
    from dartjobs.cli.context_file import changed
    from dartjobs.client.contexts import config_path, read_contexts

    read_contexts(config_path()).get(name)
    with changed(config_path()) as file:
        file["current"] = name
    click.echo(f"Commands now go to {name}.", err=True)


@command.command("set")
@click.argument("name", shell_complete=complete_contexts)
@click.option("--url", metavar="URL", help="Its server.")
@click.option("--namespace", "-n", metavar="NAME", help="Its namespace.")
@click.option("--user", metavar="NAME", help="Who asks.")
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False, resolve_path=True), help="Its authority, PEM.")
@click.option("--use", "now", is_flag=True, help="And make it the current one.")
def set_(name: str, *, now: bool, **given: Any) -> None:
    """Make a context, or change what is given of one. An empty text takes a value away."""
    from dartjobs.cli.context_file import changed, table_in
    from dartjobs.client.config import checked_url
    from dartjobs.client.contexts import config_path, read_contexts

    if given["url"]:
        checked_url(given["url"])
    first = not read_contexts(config_path()).named
    with changed(config_path()) as file:
        context = table_in(table_in(file, "contexts"), name)
        for key, value in given.items():
            if value == "":
                context.pop(key, None)
            elif value is not None:
                context[key] = value
        if now or first:
            file["current"] = name
    click.echo(f"Kept in {config_path()}." + (f" Commands now go to {name}." if now or first else ""), err=True)


@command.command
@click.argument("name", shell_complete=complete_contexts)
def delete(name: str) -> None:
    """Forget a context."""
    from dartjobs.cli.context_file import changed
    from dartjobs.client.contexts import config_path, read_contexts

    found = read_contexts(config_path())
    found.get(name)
    with changed(config_path()) as file:
        del file["contexts"][name]
        if found.current == name:
            del file["current"]
    click.echo(f"{name} is forgotten.", err=True)
