"""The options that several commands have, and what --help says of exit codes."""

from typing import Annotated
from uuid import UUID

import typer

from customers_cli.connection import API_KEY, TOKEN, URL
from customers_cli.failures import EXIT_CODES

type Variables = tuple[str, ...]


def _else(variables: Variables) -> str:
    return f"Otherwise the environment's {' or '.join(variables)}."


Url = Annotated[str | None, typer.Option("--url", help=f"Where the API is. {_else(URL)}")]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", help=f"Who calls. {_else(API_KEY)} Wins over the environment's token.")
]
Token = Annotated[str | None, typer.Option("--token", help=f"Who calls, by a JSON Web Token. {_else(TOKEN)}")]
Json = Annotated[bool, typer.Option("--json", help="Print what the API answered last, as JSON, and nothing else.")]
OwnerId = Annotated[str | None, typer.Option(help="Whose; for administrators.")]
ImportId = Annotated[UUID, typer.Argument(metavar="ID", help="The import's id.")]

EPILOG = "\n\n".join(["Exit codes:", *(f"{code}: {meaning}" for code, meaning in EXIT_CODES.items())])
