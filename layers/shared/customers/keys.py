"""Every key and every index attribute of the table, and the text folding behind them. Nothing else builds a key.

Items (`pk`, `sk`):

| item             | pk                           | sk                           |
|------------------|------------------------------|------------------------------|
| customer         | `CUSTOMER#<id>`              | `#CUSTOMER`                  |
| stats            | `CUSTOMER#<id>`              | `#STATS`                     |
| target           | `CUSTOMER#<id>`              | `#TARGET#<campaign id>`      |
| activity         | `CUSTOMER#<id>`              | `ACTIVITY#<time>#<type>#<id>`|
| … where it is    | `CUSTOMER#<id>`              | `POSITION#<type>#<id>`       |
| campaign         | `CAMPAIGN#<id>`              | `#CAMPAIGN`                  |
| unique key       | `KEY#<owner>#<customer_id>`  | `#KEY`                       |
| count            | `OWNER#<owner>`              | `COUNT#<shard>`              |
| tombstone        | `OWNER#<owner>`              | `TOMBSTONE#<time>#<id>`      |
| bookmark         | `OWNER#<owner>`              | `BOOKMARK#<listing>#<rank>`  |
| fences           | `OWNER#<owner>`              | `FENCES#<listing>`           |
| cursors' secret  | `CURSORS`                    | `#SECRET`                    |
| owner            | `OWNERS`                     | `<owner>`                    |
| idempotency      | `IDEMPOTENCY#<owner>#<hash>` | `#IDEMPOTENCY`               |
| … pointer to it  | `CUSTOMER#<id>`              | `IDEMPOTENCY#<owner>#<hash>` |
| freed key        | `FREED#<owner>#<hash>`       | `#FREED`                     |
| import           | `IMPORT#<id>`                | `#IMPORT`                    |
| … of its owner   | `OWNER#<owner>`              | `IMPORT#<time>#<id>`         |
| … chunk of it    | `IMPORT#<id>`                | `CHUNK#<number>`             |
| … duplicates     | `IMPORT#<id>`                | `DUPLICATES#<chunk>`         |
| … rejected rows  | `IMPORT#<id>`                | `REJECTED#<chunk>#<rows>`    |
| … whose turn     | `OWNER#<owner>`              | `IMPORTING`                  |
| export           | `EXPORT#<id>`                | `#EXPORT`                    |
| API key          | `APIKEY#<key id>`            | `#APIKEY`                    |
| API key of owner | `OWNER#<owner>`              | `APIKEY#<key id>`            |

Access patterns, and what each reads (a unit is 4 KB consistent, 8 KB otherwise):

| question                       | request                                            | reads              |
|--------------------------------|----------------------------------------------------|--------------------|
| one customer                   | GetItem, consistent                                | the record         |
| a customer's detail            | Query `CUSTOMER#<id>`, `#…`; BatchGetItem campaigns| what begins so     |
| a customer's targets           | Query `CUSTOMER#<id>`, `#TARGET#…`, consistent     | the targets        |
| who, and how often contacted?  | Query `CUSTOMER#<id>`, `#CUSTOMER` to `#STATS`     | two items          |
| a customer's newest activity   | Query `CUSTOMER#<id>`, `ACTIVITY#…`, backward      | the page           |
| … of some kind or some days    | Query `CUSTOMER#<id>`, `ACTIVITY#…`; BatchGetItem  | the range          |
| was this call told before?     | GetItem of its position, then of the activity      | two items          |
| is this customer_id free?      | the condition on the unique key's Put              | nothing            |
| how many, by state and status? | Query `OWNER#<owner>`, `COUNT#…`, consistent       | COUNT_SHARDS items |
| the newest page                | Query `by_created`                                 | the page           |
| a page in another order        | Query that index, BatchGetItem of the page         | keys and the page  |
| where is a far page?           | Query COUNT on its index (`created_keys`)          | the keys between   |
| … where did one end?           | GetItem of a bookmark, of the fences               | both               |
| how many in a range of dates?  | Query COUNT on `created_keys`                      | the range's keys   |
| … by status?                   | Query COUNT on `by_status`, one for each status *  | the range's keys   |
| whose text contains `q`?       | Query `directory` in shards and ranges of id       | the directory      |
| … what has changed since?      | Query `by_updated`, one for each state; tombstones | the changes        |
| was this place given by us?    | GetItem of the cursors' secret, once               | one item           |
| every owner (administrators)   | Query `OWNERS`                                     | the registry       |
| all that a purge removes       | Query `CUSTOMER#<id>`, consistent                  | its collection     |
| what was this key's answer?    | the condition on the idempotency record's Put      | nothing            |
| was this customer_id freed?    | BatchGetItem, consistent                           | a mark             |
| how far is an import?          | Query `IMPORT#<id>`, `#IMPORT` to `CHUNK#…`        | 300 bytes a chunk  |
| an owner's imports             | Query `OWNER#<owner>`, `IMPORT#…`; as above        | the imports        |
| which rows were rejected?      | Query `IMPORT#<id>`, `REJECTED#<chunk>#…`          | the chunk's        |
| how far is an export?          | GetItem, consistent                                | the export         |
| whose API key is this?         | GetItem, consistent                                | the API key        |
| an owner's API keys (tools)    | Query `OWNER#<owner>`, `APIKEY#…`; BatchGetItem    | the API keys       |
| what is due for purge?         | Query `by_purge`, one for each purge shard         | what is due        |

* With more statuses than `listing.counts.MAX_COUNTED_STATUSES` the range is read in `by_created`.

An owner id never contains a `#` (`OWNER_PATTERN`), so no two owners' keys can meet.
"""

import hashlib
import re
import unicodedata
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Self, TypeGuard

type State = Literal["live", "deleted", "purging"]
type Key = dict[str, str]

CURSOR_SECRET: Mapping[str, str] = {"pk": "CURSORS", "sk": "#SECRET"}  # what cursors are signed with
COUNT_SHARDS = 16  # writers of one owner that meet on a count item conflict; 16 items of 250 bytes are one 4 KB read
DIRECTORY_SHARDS = 8  # of an owner's directory, whose partitions give 3,000 read units a second each
PURGE_SHARDS = 8  # the due list is read shard by shard; spreads the deletes of a mass purge
MAX_SORT_KEY_BYTES = 900  # DynamoDB allows 1,024 for all sort attributes together; created_at and id take 63
MAX_CUSTOMER_ID_BYTES = 512  # in a key as it is
ABSENT = "\U0010ffff"  # sorts after every other string in UTF-8; an index drops an item that lacks a key attribute
STATS = "#STATS"  # sort key
TARGETS = "#TARGET#"  # what the sort keys of targets begin with
ACTIVITIES = "ACTIVITY#"  # likewise
BOOKMARKS = "BOOKMARK#"  # likewise, of an owner's bookmarks
FENCES = "FENCES#"  # likewise, of an owner's fences
TOMBSTONES = "TOMBSTONE#"  # likewise, of an owner's tombstones
IMPORTS = "IMPORT#"  # likewise, of an owner's imports
CHUNKS = "CHUNK#"  # likewise, of an import's chunks
DEMO_MARK: Mapping[str, str] = {"pk": "DEMO", "sk": "#DEMO"}  # says that a table has been given all demo customers
OWNERS = "OWNERS"  # partition key of the registry of owners
OWNER_PATTERN = r'^[!-"$-~]{1,128}$'  # visible ASCII without `#`; `re.fullmatch` and JSON Schema read it alike
TIME_LETTERS = 11  # of a time in the directory; 26**11 microseconds reach the year 2086
SEPARATOR = "\x1f"  # between the fields of the directory; no input contains it and no search term can span it

_OWNER = re.compile(OWNER_PATTERN)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIRECTORY_TEXTS = ("name", "surname", "email", "customer_id", "phone")


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index: its name and its sort attributes after the partition.

    The partition is (`owner_id`, `state`); that of `directory` has `directory_shard` as well, that of `by_purge` is
    `purge_shard`.
    """

    name: str
    sort: tuple[str, ...]


BY_CREATED = Index("by_created", ("created_at", "id"))
CREATED_KEYS = Index("created_keys", ("created_at", "id"))
BY_UPDATED = Index("by_updated", ("updated_at", "id"))
BY_STATUS = Index("by_status", ("status_key", "created_at", "id"))
DIRECTORY = Index("directory", ("pk",))
BY_PURGE = Index("by_purge", ("purge_at",))
SORT_INDEXES: Mapping[str, Index] = {
    "created_at": BY_CREATED,
    "updated_at": BY_UPDATED,
    "status": BY_STATUS,
    **{
        field: Index(f"by_{field}", (f"{field}_key", "id"))
        for field in ("name", "surname", "email", "phone", "customer_id")
    },
}


def start_key(index: Index, owner_id: str, state: State, sort: Mapping[str, str]) -> Key:
    """The key to read an index on from, behind the customer `sort["id"]`; `sort` are an entry's sort attributes."""
    own = {name: sort[name] for name in index.sort}
    return {**customer(sort["id"]), "owner_id": owner_id, "state": state, **own}


def is_owner_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _OWNER.fullmatch(value) is not None


def customer(id: str) -> Key:
    return {"pk": f"CUSTOMER#{id}", "sk": "#CUSTOMER"}


def id_of(pk: str) -> str:
    """The customer's id in the `pk` of any item of its collection."""
    return pk.removeprefix("CUSTOMER#")


def stats(id: str) -> Key:
    return {"pk": customer(id)["pk"], "sk": STATS}


def target(id: str, campaign_id: str) -> Key:
    return {"pk": customer(id)["pk"], "sk": TARGETS + campaign_id}


def campaign_of(sk: str) -> str:
    """The campaign's id in the `sk` of a target."""
    return sk.removeprefix(TARGETS)


def campaign(id: str) -> Key:
    return {"pk": f"CAMPAIGN#{id}", "sk": "#CAMPAIGN"}


def activity(id: str, time: str, type: str, activity_id: str) -> Key:
    """`time` is a timestamp, so that the text order of a customer's activity is its order in time."""
    return {"pk": customer(id)["pk"], "sk": f"{ACTIVITIES}{time}#{type}#{activity_id}"}


def activity_time(sk: str) -> str:
    """The time in the `sk` of an activity."""
    return sk.removeprefix(ACTIVITIES).partition("#")[0]


def activity_range(first: str | None, last: str | None) -> tuple[str, str]:
    """The sort keys between which all activity of these times is, both inclusive; None: from the first, to the last."""
    return ACTIVITIES + (first or ""), ACTIVITIES + (last or "") + ABSENT


def position(id: str, type: str, activity_id: str) -> Key:
    """Says where an activity is, because its time may change. Each type has ids of its own."""
    return {"pk": customer(id)["pk"], "sk": f"POSITION#{type}#{activity_id}"}


def unique(owner_id: str, customer_id: str) -> Key:
    """The reservation of a customer_id. A long one is hashed, because `pk` is also the sort key of `directory`.

    The separator before a hash, which no customer_id contains, keeps it from being anybody's customer_id.
    """
    if len(customer_id.encode()) > MAX_CUSTOMER_ID_BYTES:
        customer_id = SEPARATOR + hashlib.sha256(customer_id.encode()).hexdigest()
    return {"pk": f"KEY#{owner_id}#{customer_id}", "sk": "#KEY"}


def counts(owner_id: str) -> tuple[str, str]:
    """Partition key and sort key prefix of an owner's count items."""
    return f"OWNER#{owner_id}", "COUNT#"


def count(owner_id: str, id: str) -> Key:
    return {"pk": f"OWNER#{owner_id}", "sk": f"COUNT#{count_shard(id):02}"}


def count_shard(id: str) -> int:
    return zlib.crc32(id.encode()) % COUNT_SHARDS


def count_name(state: State, status_key: str) -> str:
    """Name of the number in a count item that holds how many customers have this state and status."""
    return f"{state}#{status_key}"


def tombstone(owner_id: str, time: str, id: str) -> Key:
    """`time` is a timestamp, so that the text order of an owner's tombstones is their order in time."""
    return {"pk": f"OWNER#{owner_id}", "sk": f"{TOMBSTONES}{time}#{id}"}


def tombstone_of(sk: str) -> str:
    """The customer's id in the `sk` of a tombstone."""
    return sk.rpartition("#")[2]


def bookmark(owner_id: str, listing: str, rank: int) -> Key:
    return {"pk": f"OWNER#{owner_id}", "sk": f"{BOOKMARKS}{listing}#{rank}"}


def fences(owner_id: str, listing: str) -> Key:
    return {"pk": f"OWNER#{owner_id}", "sk": FENCES + listing}


def owner(owner_id: str) -> Key:
    return {"pk": OWNERS, "sk": owner_id}


def idempotency(owner_id: str, hashed_key: str) -> Key:
    return {"pk": f"IDEMPOTENCY#{owner_id}#{hashed_key}", "sk": "#IDEMPOTENCY"}


def idempotency_pointer(id: str, record: Key) -> Key:
    """Keeps, among a customer's items, where an idempotency record of this customer is, so that a purge finds it."""
    return {"pk": customer(id)["pk"], "sk": record["pk"]}


def pointed_record(sk: str) -> Key | None:
    """The idempotency record that an item of a customer's collection points to, if it is a pointer."""
    return {"pk": sk, "sk": "#IDEMPOTENCY"} if sk.startswith("IDEMPOTENCY#") else None


def freed(owner_id: str, customer_id: str) -> Key:
    """Says since when no customer has this customer_id any more, without saying which it is: it is hashed."""
    return {"pk": f"FREED#{owner_id}#{hashlib.sha256(customer_id.encode()).hexdigest()}", "sk": "#FREED"}


def import_(id: str) -> Key:
    return {"pk": f"IMPORT#{id}", "sk": "#IMPORT"}


def owner_import(owner_id: str, time: str, id: str) -> Key:
    """`time` is a timestamp, so that the text order of an owner's imports is their order in time."""
    return {"pk": f"OWNER#{owner_id}", "sk": f"{IMPORTS}{time}#{id}"}


def import_of(sk: str) -> str:
    """The import's id in the `sk` of an owner's import."""
    return sk.rpartition("#")[2]


def chunk(import_id: str, number: int) -> Key:
    return {"pk": import_(import_id)["pk"], "sk": f"{CHUNKS}{number:05}"}


def rejected(import_id: str, chunk: int, position: int) -> Key:
    """The rejected rows of one batch, before which its chunk has `position` rows; in text order as in the file."""
    return {"pk": import_(import_id)["pk"], "sk": f"{rejections(chunk)}{position:08}"}


def rejections(chunk: int) -> str:
    """What the sort keys of a chunk's rejected rows begin with."""
    return f"REJECTED#{chunk:05}#"


def duplicates(import_id: str, chunk: int) -> Key:
    """Says which rows of a chunk have the customer_id of an earlier row of the file."""
    return {"pk": import_(import_id)["pk"], "sk": f"DUPLICATES#{chunk:05}"}


def importing(owner_id: str) -> Key:
    """Says which import of an owner runs: one at a time."""
    return {"pk": f"OWNER#{owner_id}", "sk": "IMPORTING"}


def export(id: str) -> Key:
    return {"pk": f"EXPORT#{id}", "sk": "#EXPORT"}


def api_key(key_id: str) -> Key:
    return {"pk": f"APIKEY#{key_id}", "sk": "#APIKEY"}


def owner_api_key(owner_id: str, key_id: str) -> Key:
    return {"pk": f"OWNER#{owner_id}", "sk": f"APIKEY#{key_id}"}


def directory_shard(id: str) -> str:
    """From other bits than the other shards."""
    return str((zlib.crc32(id.encode()) >> 8) % DIRECTORY_SHARDS)


def purge_shard(id: str) -> str:
    """From other bits than those of the count's shard, or the purges of one shard would meet on two count items."""
    return str((zlib.crc32(id.encode()) >> 20) % PURGE_SHARDS)


def timestamp(time: datetime) -> str:
    """Fixed-width UTC ISO 8601 with microseconds, so that text order is time order: `2026-01-31T09:30:00.000000Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def fold(text: str) -> str:
    """Text without case and accents: decomposed (NFKD), combining marks dropped, case folded.

    The result never contains A-Z and folding it again changes nothing; some characters fold to nothing or to a space.
    """
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def text_key(folded: str) -> str:
    """Sort key of a folded text: cut to what an index takes, at a character's boundary; `ABSENT` for none."""
    if len(folded) * 4 > MAX_SORT_KEY_BYTES:
        folded = folded.encode()[:MAX_SORT_KEY_BYTES].decode(errors="ignore")
    return folded.replace(ABSENT, "\U0010fffe") or ABSENT


def status_key(status: str | None) -> str:
    return text_key(fold(status or ""))


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """What the directory knows of a customer: folded texts (phone: digits only; "" = absent), status key and times.

    `created_at` and `updated_at` are timestamps as `timestamp` writes them.
    """

    name: str
    surname: str
    email: str
    customer_id: str
    phone: str
    status_key: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, record: Mapping[str, object]) -> Self:
        """The entry of a record's own fields."""
        texts = {field: fold(str(record.get(field) or "")) for field in _DIRECTORY_TEXTS}
        texts["phone"] = re.sub(r"[^0-9]", "", texts["phone"])
        status = record.get("status")
        return cls(
            **texts,
            status_key=status_key(str(status) if status is not None else None),
            created_at=str(record["created_at"]),
            updated_at=str(record["updated_at"]),
        )

    def index_attributes(self) -> dict[str, str]:
        """The attributes that a customer item carries for its indexes only."""
        texts = {f"{field}_key": text_key(getattr(self, field)) for field in _DIRECTORY_TEXTS}
        return texts | {"status_key": self.status_key, "d": self.pack()}

    def sort_value(self, sort_field: str) -> str:
        """The first sort attribute that this customer has in the index of `sort_field`."""
        if sort_field in _DIRECTORY_TEXTS:
            return text_key(getattr(self, sort_field))
        return str(getattr(self, {"status": "status_key"}.get(sort_field, sort_field)))

    def pack(self) -> str:
        """One attribute for the index `directory`.

        Status and times are written in the letters A-Z, which folded text never contains, so that a server-side
        `contains` of a folded term can only match text.
        """
        texts = (getattr(self, field) for field in _DIRECTORY_TEXTS)
        return SEPARATOR.join(
            (*texts, _time_letters(self.created_at) + _time_letters(self.updated_at) + _text_letters(self.status_key))
        )

    @classmethod
    def unpack(cls, packed: str) -> Self:
        *texts, letters = packed.split(SEPARATOR)
        created_at, updated_at = letters[:TIME_LETTERS], letters[TIME_LETTERS : 2 * TIME_LETTERS]
        return cls(
            **dict(zip(_DIRECTORY_TEXTS, texts, strict=True)),
            status_key=_letters_text(letters[2 * TIME_LETTERS :]),
            created_at=_letters_time(created_at),
            updated_at=_letters_time(updated_at),
        )


def _to_letters(number: int) -> str:
    """Raises ValueError for a negative number."""
    if number < 0:
        raise ValueError(number)
    letters = ""
    while number:
        number, digit = divmod(number, 26)
        letters = _LETTERS[digit] + letters
    return letters


def _from_letters(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A")
    return number


def _time_letters(time: str) -> str:
    since = datetime.fromisoformat(time) - _EPOCH
    return _to_letters(since // timedelta(microseconds=1)).rjust(TIME_LETTERS, "A")


def _letters_time(letters: str) -> str:
    return timestamp(_EPOCH + timedelta(microseconds=_from_letters(letters)))


def _text_letters(text: str) -> str:
    return _to_letters(int.from_bytes(text.encode()))


def _letters_text(letters: str) -> str:
    number = _from_letters(letters)
    return number.to_bytes((number.bit_length() + 7) // 8).decode()
