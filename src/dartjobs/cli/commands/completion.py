"""`dartjobs completion`."""

import click

_VARIABLE = "_DARTJOBS_COMPLETE"


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    r"""Write the script that makes a shell complete commands, jobs and names.

    \b
    bash  eval "$(dartjobs completion bash)"   in ~/.bashrc
    zsh   eval "$(dartjobs completion zsh)"    in ~/.zshrc
    fish  dartjobs completion fish > ~/.config/fish/completions/dartjobs.fish
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:  # pragma: no cover - click knows the three
        msg = f"click does not know {shell}"
        raise click.ClickException(msg)
    root = click.get_current_context().find_root().command
    click.echo(made(root, {}, "dartjobs", _VARIABLE).source())
