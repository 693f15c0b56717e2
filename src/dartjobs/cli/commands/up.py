"""`dartjobs up`: the whole platform on this machine."""

from pathlib import Path

import click


@click.command
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where everything is kept [DARTJOBS_DATA_DIR; ~/.local/share/dartjobs].",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=7878, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free one.")
@click.option("--allow-unauthenticated", is_flag=True, help="Serve others than this machine, though nobody logs in.")
def command(data_dir: Path | None, host: str, port: int, *, allow_unauthenticated: bool) -> None:
    """Run a server with a local Ray on this machine, until Ctrl-C.

    Prints its address once it is ready; other commands on this machine find it by themselves.
    """
    from dartjobs.client.config import default_data_dir

    try:
        from dartjobs.cli.servers.embedded import up
    except ImportError as error:
        msg = f"A server needs more than the client does ({error}): pip install 'dartjobs[local]'"
        raise click.ClickException(msg) from error
    try:
        up(
            data_dir=data_dir or default_data_dir(),
            host=host,
            port=port,
            allow_unauthenticated=allow_unauthenticated,
            on_ready=click.echo,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
