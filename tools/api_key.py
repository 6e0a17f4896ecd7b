"""`make api-key`: create, list, rotate and revoke API keys. A key is shown once; the table keeps its secret's hash."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import batched

from rich import box
from rich.console import Console
from rich.table import Column
from rich.table import Table as Grid

from customers import keys
from customers.auth import SCOPES, StoredKey
from customers.auth.api_keys import mint
from customers.dynamodb import BATCH_GET_ITEMS, Cancelled, Table, Write
from tools import stack
from tools.stack import StackError

GRACE_HOURS = 24.0  # for which a rotated key still works


class KeyProblem(RuntimeError):
    """There is no such key, or it cannot be rotated."""


def create(table: Table, template: StoredKey) -> str:
    """A new key like `template`, with an id and a secret of its own; its text, which nobody can tell again."""
    text, writes = _new(template)
    table.transact(writes)
    return text


def rotate(table: Table, key_id: str, *, grace: timedelta) -> str:
    """A new key with the rights of `key_id`, which itself works for `grace` more. Raises `KeyProblem`."""
    old, now = find(table, key_id), datetime.now(UTC)
    if not old.usable_at(now):
        raise KeyProblem(f"The API key {key_id} is revoked or has expired; create a new one")
    text, writes = _new(old)
    end = min(now + grace, old.expires_at or now + grace)
    table.transact({**writes, "old": _set_time(key_id, "expires_at = :time", end)})
    return text


def revoke(table: Table, key_id: str) -> None:
    """From now on the key is refused. Raises `KeyProblem`."""
    try:
        table.transact({"key": _set_time(key_id, "revoked_at = if_not_exists(revoked_at, :time)", datetime.now(UTC))})
    except Cancelled:
        raise KeyProblem(f"There is no API key {key_id}") from None


def find(table: Table, key_id: str) -> StoredKey:
    """Raises `KeyProblem`."""
    item = table.get(keys.api_key(key_id))
    if item is None:
        raise KeyProblem(f"There is no API key {key_id}")
    return StoredKey.from_item(item)


def _new(template: StoredKey) -> tuple[str, dict[str, Write]]:
    text, key_id, secret_hash = mint()
    stored = replace(template, key_id=key_id, secret_hash=secret_hash, created_at=datetime.now(UTC), revoked_at=None)
    item = {**keys.api_key(key_id), **stored.to_item()}
    return text, {
        "key": Write("Put", item=item, condition="attribute_not_exists(pk)"),
        "of owner": Write("Put", item=keys.owner_api_key(stored.owner_id, key_id)),
        "owner": Write("Put", item=keys.owner(stored.owner_id)),
    }


def _set_time(key_id: str, assignment: str, time: datetime) -> Write:
    return Write(
        "Update",
        key=keys.api_key(key_id),
        update=f"SET {assignment}",
        condition="attribute_exists(pk)",
        values={":time": keys.timestamp(time)},
    )


def list_keys(table: Table, owner_id: str | None) -> Iterator[StoredKey]:
    """The keys of one owner, or of all."""
    for owner in [owner_id] if owner_id else list(_sort_keys(table, keys.OWNERS)):
        own = keys.owner_api_key(owner, "")
        found = [keys.api_key(sk.removeprefix(own["sk"])) for sk in _sort_keys(table, own["pk"], own["sk"])]
        for batch in batched(found, BATCH_GET_ITEMS, strict=False):
            yield from map(StoredKey.from_item, table.batch_get(batch))


def _sort_keys(table: Table, pk: str, prefix: str | None = None) -> Iterator[str]:
    """The sort keys of a partition that begin with `prefix`."""
    condition, values = "pk = :pk", {":pk": pk}
    if prefix:
        condition, values = f"{condition} AND begins_with(sk, :prefix)", values | {":prefix": prefix}
    for page in table.pages(KeyConditionExpression=condition, values=values, ConsistentRead=True):
        yield from (item["sk"] for item in page.items)


def show(found: list[StoredKey]) -> None:
    now = datetime.now(UTC)
    grid = Grid(
        Column("key id", no_wrap=True), "owner", "role", "scopes", "name", "created", "expires", "state", box=box.SIMPLE
    )
    for key in sorted(found, key=lambda key: (key.owner_id, key.created_at)):
        state = "revoked" if key.revoked_at else "active" if key.usable_at(now) else "expired"
        scopes = "all" if key.scopes == SCOPES else " ".join(sorted(key.scopes))
        expires = f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never"
        created = f"{key.created_at:%Y-%m-%d %H:%M}"
        grid.add_row(key.key_id, key.owner_id, key.role, scopes, key.name or "", created, expires, state)
    Console(width=None if sys.stdout.isatty() else 160, markup=False, emoji=False).print(grid)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make api-key", description=__doc__)
    stack.add_argument(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="create | list | rotate | revoke")
    creating = commands.add_parser("create", help="print a new key")
    creating.add_argument("--owner", required=True, help="whose customers its holder sees")
    creating.add_argument("--admin", action="store_true", help="everybody's")
    creating.add_argument("--scopes", nargs="+", choices=sorted(SCOPES), default=sorted(SCOPES), help="default: all")
    creating.add_argument("--name", help="what it is for")
    creating.add_argument("--days", type=float, help="until it expires (default: never)")
    listing = commands.add_parser("list", help="show what is known of the keys")
    listing.add_argument("--owner", help="only this owner's")
    rotating = commands.add_parser("rotate", help="print a new key with the same rights; the old one soon expires")
    rotating.add_argument("key_id")
    rotating.add_argument(
        "--grace-hours", type=float, default=GRACE_HOURS, help="for the old one (default: %(default)s)"
    )
    commands.add_parser("revoke", help="refuse a key from now on").add_argument("key_id")
    arguments = parser.parse_args()
    if arguments.command == "create" and not keys.is_owner_id(arguments.owner):
        parser.error("an owner has 1 to 128 visible ASCII characters, and no #")
    try:
        _run(stack.chosen(arguments.stack).table, arguments)
    except (StackError, KeyProblem) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(table: Table, arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "create":
            expires_at = datetime.now(UTC) + timedelta(days=arguments.days) if arguments.days is not None else None
            wanted = StoredKey(
                key_id="",
                secret_hash="",
                owner_id=arguments.owner,
                role="admin" if arguments.admin else "owner",
                scopes=frozenset(arguments.scopes),
                expires_at=expires_at,
                name=arguments.name,
            )
            print(create(table, wanted))
        case "list":
            show(list(list_keys(table, arguments.owner)))
        case "rotate":
            print(rotate(table, arguments.key_id, grace=timedelta(hours=arguments.grace_hours)))
        case "revoke":
            revoke(table, arguments.key_id)
            print(f"{arguments.key_id} is revoked", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
