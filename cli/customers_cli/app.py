"""The command `customers`."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from customers_cli import imports
from customers_cli.connection import Connection
from customers_cli.exporting import STDOUT, export
from customers_cli.files import Sheet, target
from customers_cli.importing import attach, conclude, follow, rejected_beside
from customers_cli.options import EPILOG, ApiKey, Json, OwnerId, Token, Url
from customers_cli.session import session
from customers_cli.words import going_on, is_over

main = typer.Typer(
    name="customers",
    help="Imports and exports of customers, over the HTTP API.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
main.add_typer(imports.app, name="imports")


class OnDeleted(StrEnum):
    SKIP = "skip"
    RESTORE = "restore"


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


@main.command("import", epilog=EPILOG)
def import_(
    context: typer.Context,
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or XLSX.", exists=True, dir_okay=False, readable=True)
    ],
    on_deleted: Annotated[
        OnDeleted, typer.Option(help="What to do with a row whose customer is deleted: reject the row, or restore it.")
    ] = OnDeleted.SKIP,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Find out what would happen; write nothing.")] = False,
    rejected: Annotated[
        Path | None, typer.Option(help="Where to save the rejected rows; otherwise beside FILE, as NAME.rejected.csv.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Import the file anew. Interrupted, go on with: customers imports watch ID.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="End once the file is sent; do not wait.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Import customers from a file.

    Interrupted, the import goes on. For a day the same command goes on with it: it sends the file if that has not
    arrived, shows how far it is, or shows what became of it. Rejected rows are saved with what is wrong with each; a
    file that is there already is not replaced, its name gets a number.
    """
    place = target(rejected or rejected_beside(file), "--rejected")
    connection = Connection.chosen(url, api_key, token)
    with session(context, connection, as_json=as_json) as run:
        sheet = Sheet.read(file)
        job = attach(run, sheet, {"on_deleted": on_deleted, "dry_run": dry_run}, again=again)
        if detach and not is_over(job):
            for line in going_on(job["id"]):
                run.view.result(line)
            if as_json:
                run.view.data(job)
            return
        raise typer.Exit(conclude(run, follow(run, job, sent=True), place))


@main.command("export", epilog=EPILOG)
def export_(
    context: typer.Context,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write to; what is there is replaced, once all has come. - is the standard output. "
            "Otherwise a new file in this directory, named after the time.",
        ),
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="csv for spreadsheets, ndjson for programs.")
    ] = Format.CSV,
    q: Annotated[str | None, typer.Option(help="Only customers in which this text is.")] = None,
    status: Annotated[str | None, typer.Option(help="Only these statuses, with commas between them.")] = None,
    date_from: Annotated[str | None, typer.Option(help="Only customers made at this time or later.")] = None,
    date_to: Annotated[str | None, typer.Option(help="Only customers made at this time or earlier.")] = None,
    include_deleted: Annotated[bool, typer.Option("--include-deleted", help="Deleted customers too.")] = False,
    only_deleted: Annotated[bool, typer.Option("--only-deleted", help="Deleted customers only.")] = False,
    owner_id: OwnerId = None,
    url: Url = None,
    api_key: ApiKey = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Export customers to a file."""
    if output == STDOUT and as_json:
        raise typer.BadParameter("The standard output takes one of the two", param_hint="--output - / --json")
    place = output or Path(f"customers-{datetime.now(UTC):%Y%m%d-%H%M%S}.{format_}")
    if place != STDOUT:
        target(place, "--output")
    wanted = {"format": format_, "q": q, "status": status, "date_from": date_from, "date_to": date_to}
    wanted |= {"owner_id": owner_id}
    flags = {"include_deleted": include_deleted, "only_deleted": only_deleted}
    asked = {name: value for name, value in wanted.items() if value is not None} | flags
    connection = Connection.chosen(url, api_key, token)
    with session(context, connection, as_json=as_json, stdout_is_data=place == STDOUT) as run:
        raise typer.Exit(export(run, asked, place))
