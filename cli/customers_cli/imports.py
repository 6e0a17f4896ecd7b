"""`customers imports`: what was begun, one by one."""

from pathlib import Path
from typing import Annotated

import typer

from customers_cli import words
from customers_cli.connection import Connection
from customers_cli.files import target
from customers_cli.importing import IMPORTS, conclude, follow, path_of, rejected_here
from customers_cli.options import EPILOG, ApiKey, ImportId, Json, OwnerId, Token, Url
from customers_cli.session import session

app = typer.Typer(help="What has become of imports.", epilog=EPILOG, no_args_is_help=True)


@app.command("list", epilog=EPILOG)
def list_(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(help="How many to show.", min=1, max=200)] = 10,
    offset: Annotated[int, typer.Option(help="How many newer ones to leave out.", min=0)] = 0,
    owner_id: OwnerId = None,
    url: Url = None,
    api_key: ApiKey = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List imports, the newest first."""
    with session(context, Connection.chosen(url, api_key, token), as_json=as_json) as run:
        of = {"owner_id": owner_id} if owner_id else {}
        page = run.api.get(IMPORTS, {"limit": limit, "offset": offset, **of}).body
        if as_json:
            run.view.data(page)
            return
        run.view.table(("id", "begun", "file", "state"), map(words.listed, page["data"]))


@app.command(epilog=EPILOG)
def show(
    context: typer.Context,
    *,
    id: ImportId,
    url: Url = None,
    api_key: ApiKey = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show one import as it is now."""
    with session(context, Connection.chosen(url, api_key, token), as_json=as_json) as run:
        job = run.api.get(path_of(id)).body
        if as_json:
            run.view.data(job)
            return
        for line in words.result(job):
            run.view.result(line)
        if "rejected" in job:
            run.view.result(words.fetching(job["id"]))


@app.command(epilog=EPILOG)
def watch(
    context: typer.Context,
    *,
    id: ImportId,
    rejected: Annotated[
        Path | None,
        typer.Option(help="Where to save the rejected rows; otherwise in this directory, as NAME.rejected.csv."),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Follow an import until it is over, with its result and exit code, as the command that began it would have."""
    place = target(rejected, "--rejected") if rejected else None
    with session(context, Connection.chosen(url, api_key, token), as_json=as_json) as run:
        job = follow(run, run.api.get(path_of(id)).body, sent=False)
        raise typer.Exit(conclude(run, job, place or rejected_here(job)))


@app.command(epilog=EPILOG)
def cancel(
    context: typer.Context,
    *,
    id: ImportId,
    url: Url = None,
    api_key: ApiKey = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Stop an import; what it has done already stays. One that is over stays as it is."""
    with session(context, Connection.chosen(url, api_key, token), as_json=as_json) as run:
        job = run.api.delete(path_of(id)).body
        if as_json:
            run.view.data(job)
            return
        run.view.result(f"Import {job['id']}: {words.ending(job)}")
