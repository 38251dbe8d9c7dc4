"""The ``heliodock`` command. One file per verb; a verb imports what it needs when it is called.

Exit status: 0 done; 1 ran and found a fault; 2 unusable input, in one line on standard error; 130 interrupted.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from cli.arguments import spread
from cli.terminal import fail
from station.errors import HeliodockError

VERBS = (
    "cli.check",
    "cli.plan",
    "cli.twin",
    "cli.device",
    "cli.health",
    "cli.demo",
    "cli.run",
    "cli.serve",
    "cli.hil",
    "cli.store",
    "cli.report",
)
"""Each module has ``register(app)``. A new verb is one more line."""


class _Command(TyperGroup):
    """Turns what a user can mend into one line and a status."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command and leave with its status."""
        given = spread(sys.argv[1:] if args is None else args, "--strategy")
        try:
            status = super().main(given, prog_name, complete_var, False, windows_expand_args, **extra)
        except HeliodockError as unusable:
            fail(str(unusable))
            status = 2
        except TyperException as misuse:
            fail(_usage_line(misuse))
            status = misuse.exit_code
        except (KeyboardInterrupt, typer.Abort):
            status = 130
        if standalone_mode:
            sys.exit(status)
        return status


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    typer.echo(f"heliodock {version('heliodock')}")
    raise typer.Exit


def make_app() -> typer.Typer:
    """Return the command with all verbs."""
    app = typer.Typer(
        cls=_Command,
        name="heliodock",
        help="Controller for stations that join PV, storage and EV charging, with its twin.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Start with: heliodock check SITE.yaml",
    )
    app.callback()(_root)
    for verb in VERBS:
        import_module(verb).register(app)
    return app


def main() -> None:
    """Enter here."""
    try:
        make_app()(prog_name="heliodock")
    except KeyboardInterrupt:
        sys.exit(130)


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Print it."),
    ] = False,
) -> None:
    """Control a station, or play one."""


def _usage_line(misuse: TyperException) -> str:
    """Return what was wrong with the command line, and where to read more, in one line."""
    context = getattr(misuse, "ctx", None)
    text = " ".join(misuse.format_message().split()).rstrip(".")
    return f"{text} (see {context.command_path} --help)" if context else text


if __name__ == "__main__":
    main()
