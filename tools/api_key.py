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
from customers.auth.api_keys import mint, parse
from customers.dynamodb import BATCH_GET_ITEMS, Cancelled, Table, Write
from tools import stack
from tools.stack import StackError

GRACE = timedelta(hours=24)  # for which a rotated key still works
MAX_DAYS = 36_500


class KeyProblem(RuntimeError):
    """There is no such key, or it cannot be rotated."""


def create(table: Table, template: StoredKey) -> str:
    """A new key like `template`, with an id and a secret of its own; its text, which nobody can tell again."""
    text, _, writes = _new(template)
    table.transact(writes)
    return text


def rotate(table: Table, key_id: str, *, grace: timedelta) -> str:
    """A new key with the rights and the lifetime of `key_id`, which itself works for `grace` more.

    Raises `KeyProblem`, also for a key that has a successor: at most two at a time are active.
    """
    old, now = find(table, key_id), datetime.now(UTC)
    if old.successor:
        raise KeyProblem(f"The API key {key_id} was rotated before; its successor is {old.successor}")
    if not old.usable_at(now):
        raise KeyProblem(f"The API key {key_id} is revoked or has expired; create a new one")
    expires_at = now + (old.expires_at - old.created_at) if old.expires_at else None
    text, successor, writes = _new(replace(old, expires_at=expires_at))
    end = min(now + grace, old.expires_at or now + grace)
    writes["old"] = Write(
        "Update",
        key=keys.api_key(key_id),
        update="SET expires_at = :end, successor = :successor",
        condition="attribute_not_exists(successor) AND attribute_not_exists(revoked_at)",
        values={":end": keys.timestamp(end), ":successor": successor},
    )
    try:
        table.transact(writes)
    except Cancelled:
        raise KeyProblem(f"The API key {key_id} has just been rotated or revoked by somebody else") from None
    return text


def revoke(table: Table, key_id: str) -> None:
    """From now on the key is refused. Raises `KeyProblem`."""
    write = Write(
        "Update",
        key=keys.api_key(key_id),
        update="SET revoked_at = if_not_exists(revoked_at, :now)",
        condition="attribute_exists(pk)",
        values={":now": keys.timestamp(datetime.now(UTC))},
    )
    try:
        table.transact({"key": write})
    except Cancelled:
        raise KeyProblem(f"There is no API key {key_id}") from None


def find(table: Table, key_id: str) -> StoredKey:
    """Raises `KeyProblem`."""
    item = table.get(keys.api_key(key_id))
    if item is None:
        raise KeyProblem(f"There is no API key {key_id}")
    return StoredKey.from_item(item)


def id_of(text: str) -> str:
    """The id of a key that is named by it or by the whole key. Raises `KeyProblem`, which never shows a secret."""
    if "_" not in text:
        return text
    parsed = parse(text)
    if parsed is None:
        raise KeyProblem("That is neither a whole API key nor a key's id, which stands between its two underscores")
    return parsed[0]


def _new(template: StoredKey) -> tuple[str, str, dict[str, Write]]:
    """The text and the id of a new key, and what is to be written."""
    text, key_id, secret_hash = mint()
    now = datetime.now(UTC)
    stored = replace(template, key_id=key_id, secret_hash=secret_hash, created_at=now, revoked_at=None, successor=None)
    item = {**keys.api_key(key_id), **stored.to_item()}
    writes = {
        "key": Write("Put", item=item, condition="attribute_not_exists(pk)"),
        "of owner": Write("Put", item=keys.owner_api_key(stored.owner_id, key_id)),
        "owner": Write("Put", item=keys.owner(stored.owner_id)),
    }
    return text, key_id, writes


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
        state = "revoked" if key.revoked_at else "expired" if not key.usable_at(now) else "active"
        if key.successor and state == "active":
            state = "rotated"
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
    creating.add_argument("--owner", type=_owner, required=True, help="whose customers its holder sees")
    creating.add_argument("--admin", action="store_true", help="everybody's")
    creating.add_argument("--scopes", nargs="+", choices=sorted(SCOPES), default=sorted(SCOPES), help="default: all")
    creating.add_argument("--name", help="what it is for")
    creating.add_argument("--days", type=_days, metavar="DAYS", help="until it expires (default: never)")
    listing = commands.add_parser("list", help="show what is known of the keys")
    listing.add_argument("--owner", type=_owner, help="only this owner's")
    rotating = commands.add_parser("rotate", help="print a new key with the same rights; the old one soon expires")
    rotating.add_argument(
        "--grace-hours", type=_hours, metavar="HOURS", default=GRACE, help="for the old one (default: 24)"
    )
    revoking = commands.add_parser("revoke", help="refuse a key from now on")
    for naming in (rotating, revoking):
        naming.add_argument("key", help="its id, or the whole key")
    arguments = parser.parse_args()
    try:
        _run(stack.chosen(arguments.stack).table, arguments)
    except (StackError, KeyProblem) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(table: Table, arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "create":
            expires_at = datetime.now(UTC) + arguments.days if arguments.days else None
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
            key_id = id_of(arguments.key)
            text = rotate(table, key_id, grace=arguments.grace_hours)
            print(
                f"{key_id} {_until(find(table, key_id))}; the new key {_until(find(table, id_of(text)))}",
                file=sys.stderr,
            )
            print(text)
        case "revoke":
            key_id = id_of(arguments.key)
            revoke(table, key_id)
            print(f"{key_id} is revoked", file=sys.stderr)


def _until(key: StoredKey) -> str:
    return f"works until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "does not expire"


def _owner(text: str) -> str:
    if not keys.is_owner_id(text):
        raise argparse.ArgumentTypeError("an owner has 1 to 128 visible ASCII characters, and no #")
    return text


def _days(text: str) -> timedelta:
    days = float(text)
    if not 0 < days <= MAX_DAYS:
        raise argparse.ArgumentTypeError(f"a key can expire in more than 0 and at most {MAX_DAYS} days")
    return timedelta(days=days)


def _hours(text: str) -> timedelta:
    hours = float(text)
    if not 0 <= hours <= 24 * MAX_DAYS:
        raise argparse.ArgumentTypeError(f"the old key can work on for 0 to {24 * MAX_DAYS} hours")
    return timedelta(hours=hours)


if __name__ == "__main__":
    sys.exit(main())
