"""`paperpath completion`: what a shell needs to complete our commands and options."""

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      paperpath completion bash > /etc/bash_completion.d/paperpath
      paperpath completion zsh > "${fpath[1]}/_paperpath"
      paperpath completion fish > ~/.config/fish/completions/paperpath.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, "the choice above names only shells that click knows"
    click.echo(kind(ctx.find_root().command, {}, "paperpath", "_PAPERPATH_COMPLETE").source())
