"""Made-up customers of one large owner and a few small ones: the same for the same number, however often they are made.

Names follow Zipf's law, as they do in a telephone book: half of the people share a small part of the surnames.
No unique keys are made: nothing that is measured reads them, and a purge does without.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any
from uuid import UUID

from customers import keys
from customers.models import Customer

SMALL_OWNERS = (20, 40, 60, 80)  # how many customers each of them has
DELETED_EVERY = 100  # live customers have one deleted beside them
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC)  # of what is created
RETENTION = timedelta(days=30)
STATUSES = {"lead": 40, "customer": 30, "churned": 14, "VIP": 1, None: 15}  # and how many of 100 have it
WITHOUT_EMAIL, WITHOUT_PHONE, UPDATED, WITH_AGENT = 0.08, 0.10, 0.3, 0.5
ZIPF = 0.7  # exponent
GIVEN_NAMES, SURNAMES, COMPANIES = 400, 6_000, 3_000
PUBLIC_DOMAINS = ("bluemail", "fastpost", "mailbox", "openletter", "quickmail", "skypost", "webmail", "yourmail")
PUBLIC = 0.6  # of the addresses
RANDOM_KEYS = 0.4  # of the customer_ids; the others are numbered as they come
_KEY_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
_SYLLABLES = (
    "an ber bor cas den do el er fer gar gon ha ing jo ka lan le lo ma mi mon mül na nes ni os pe pé ra ri ro sa sen "
    "ña so ta ter to va ver vi wal win za zé"
)


@dataclass(frozen=True, slots=True)
class Population:
    """`live` customers of `owner`, its deleted ones, and those of the small owners."""

    live: int

    @property
    def owner(self) -> str:
        """Its own for each size, because a function remembers owners."""
        return _owner(f"{self.live} customers")

    @property
    def owners(self) -> Mapping[str, tuple[int, int]]:
        """How many live and deleted customers each owner has."""
        small = {_owner(f"{live} of {self.live}"): (live, 1) for live in SMALL_OWNERS}
        return {self.owner: (self.live, self.live // DELETED_EVERY), **small}

    @property
    def size(self) -> int:
        """Of customers in all."""
        return sum(live + deleted for live, deleted in self.owners.values())

    def customers(self) -> Iterator[Customer]:
        for owner_id, (live, deleted) in self.owners.items():
            yield from _customers(owner_id, live, deleted)

    def items(self) -> Iterator[Mapping[str, Any]]:
        """The items of the table: records, counts and the registry of owners."""
        counts = dict[str, dict[str, Any]]()
        for customer in self.customers():
            yield customer.item()
            _add(counts, customer)
        yield from counts.values()
        yield from map(keys.owner, self.owners)


def _customers(owner_id: str, live: int, deleted: int) -> Iterator[Customer]:
    random = Random(f"{owner_id} {live}")  # noqa: S311 - made-up people
    gone = set(random.sample(range(live + deleted), deleted))
    for number in range(live + deleted):
        yield _customer(random, owner_id, number, live + deleted, deleted=number in gone)


def _customer(random: Random, owner_id: str, number: int, of: int, *, deleted: bool) -> Customer:
    given, surname = _one(random, "given", GIVEN_NAMES), _one(random, "surname", SURNAMES)
    created = FIRST + (LAST - FIRST) * ((number + random.random()) / of)
    updated = created + (LAST - created) * random.random() if deleted or random.random() < UPDATED else created
    values: dict[str, Any] = {
        "name": given,
        "surname": surname,
        "email": None if random.random() < WITHOUT_EMAIL else _email(random, given, surname, number),
        "phone": None if random.random() < WITHOUT_PHONE else _phone(random),
        "status": random.choices(list(STATUSES), list(STATUSES.values()))[0],
        "agent_id": _uuid(random) if random.random() < WITH_AGENT else None,
    }
    if deleted:
        values |= {"state": "deleted", "version": 2, "deleted_at": keys.timestamp(updated)}
        values["purge_at"] = keys.timestamp(updated + RETENTION)
    return Customer(
        id=_uuid(random),
        owner_id=owner_id,
        customer_id=_key(random, number),
        created_at=keys.timestamp(created),
        updated_at=keys.timestamp(updated),
        **values,
    )


def _add(counts: dict[str, dict[str, Any]], customer: Customer) -> None:
    """Count a customer, as the transaction that makes one does."""
    key = keys.count(customer.owner_id, customer.id)
    count = counts.setdefault(f"{key}", {**key, "writes": 0, "moved_at": keys.timestamp(LAST)})
    count["writes"] += customer.version
    name = keys.count_name(customer.state, customer.status_key)
    count[name] = count.get(name, 0) + 1


def _key(random: Random, number: int) -> str:
    return "".join(random.choices(_KEY_LETTERS, k=10)) if random.random() < RANDOM_KEYS else f"CRM-{number:07}"


def _email(random: Random, given: str, surname: str, number: int) -> str:
    local = keys.fold(f"{given}.{surname}").replace(" ", "")
    if random.random() < PUBLIC:
        return f"{local}{number % 1000}@{random.choice(PUBLIC_DOMAINS)}.example"
    return f"{local}@{keys.fold(_one(random, 'company', COMPANIES))}.example"


def _phone(random: Random) -> str:
    return f"+49 {random.randrange(30, 9999)} {random.randrange(1_000_000, 99_999_999)}"


def _owner(what: str) -> str:
    return _uuid(Random(what))  # noqa: S311 - as above


def _uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def _one(random: Random, kind: str, number: int) -> str:
    words, weights = names(kind, number)
    return random.choices(words, cum_weights=weights)[0]


@cache
def names(kind: str, number: int) -> tuple[list[str], list[float]]:
    """Different words of two to four syllables, the commonest first, and how common they are, added up."""
    random = Random(kind)  # noqa: S311 - as above
    words = dict[str, None]()
    while len(words) < number:
        words["".join(random.choices(_SYLLABLES.split(), k=random.choice((2, 2, 3, 3, 4)))).capitalize()] = None
    return list(words), list(accumulate(1 / rank**ZIPF for rank in range(1, number + 1)))
