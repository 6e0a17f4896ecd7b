"""Demo customers: made up, believable, the same on every machine but for the times, which lead up to now."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from customers import keys
from customers.dynamodb import Table
from customers.errors import CustomerIdTaken
from customers.models import Customer
from customers.repository import Repository

OWNERS = {"ada": 240, "grace": 60}  # how many customers each gets
RETENTION_DAYS = 30
MONTHS = 18  # over which they came

NAMES = (
    "Ada Amélie Anna Astrid Benoît Björn Carla Chloé Dario Elif Emil Fatima Finn Giulia Grace Hana Hugo Ines Ivan "
    "Jakub João Jürgen Kwame Lena Léa Linh Łukasz Mateo Mei Milan Noor Nikos Olga Oskar Priya René Rosa Siân Sofía "
    "Tomás Uma Valentina Wei Yara Yusuf Zoë"
).split()
SURNAMES = (
    "Adeyemi Andersen Bauer Bergström Bianchi Costa D'Angelo Dubois Evans Fernández García Green Haddad Hansen Ito "
    "Jensen Kaya Kim Kowalski Kovač Lefèvre López Müller Nakamura Nguyen Novák O'Connor Okafor Papadopoulos Patel "
    "Petrović Reyes Rossi Saïd Santos Schmidt Silva Sørensen Suzuki Şahin Tanaka Varga Wójcik Yılmaz Zimmermann"
).split()
DOMAINS = ("example.com", "example.net", "example.org", "mail.example.com", "post.example.net")  # RFC 2606
# Numbers that telephone authorities keep for fiction.
PHONES = ("+1 202 555 01{:02}", "+44 7700 9001{:02}", "+49 30 231253{:02}", "+33 1 99 00 41 {:02}", "+61 491 5701{:02}")
STATUSES = ("lead", "contacted", "qualified", "customer", "customer", "churned", "VIP", None)
AGENTS = ("7b0e4e1e-54c5-4d0c-9a57-0d9d3f6f2a11", "c2f6c1de-8a5b-4a63-8f5e-6f3b1a7d9e22", None)


def is_there(table: Table) -> bool:
    """Whether all was made, what happens to them included; what has become of them since does not count."""
    return table.get(keys.DEMO_MARK) is not None


def finish(table: Table) -> None:
    """Note that all was made: last, because the making may be interrupted."""
    table.put(keys.DEMO_MARK)


def seed(table: Table, now: datetime) -> Iterator[Customer]:
    """Make them, through the repository, and yield each. One that is there already stays."""
    clock = [now]
    repository = Repository(table, retention_days=RETENTION_DAYS, clock=lambda: clock[0])
    for owner_id, number in OWNERS.items():
        chance = chance_of(owner_id)
        moments = sorted(now - timedelta(days=chance.triangular(0, 30 * MONTHS, 0)) for _ in range(number))
        for i, clock[0] in enumerate(moments, 1):
            chance = chance_of(f"{owner_id} {i}")
            try:
                customer = repository.create(owner_id, _values(chance, i), None).customer
            except CustomerIdTaken:
                continue
            yield _live(repository, clock, customer, chance, now)


def chance_of(of: str) -> random.Random:
    """The same on every machine, and whatever was there before."""
    return random.Random(of)  # noqa: S311 - no secret


def _values(chance: random.Random, number: int) -> dict[str, Any]:
    name, surname = chance.choice(NAMES), chance.choice(SURNAMES)
    address = keys.fold(f"{name}.{surname}").replace("'", "").translate(str.maketrans("łøı", "loi"))
    return {
        "customer_id": f"DEMO-{number:04}",
        "name": name,
        "surname": surname if chance.random() < 0.95 else None,
        "email": f"{address}@{chance.choice(DOMAINS)}" if chance.random() < 0.9 else None,
        "phone": chance.choice(PHONES).format(chance.randrange(100)) if chance.random() < 0.8 else None,
        "status": chance.choice(STATUSES),
        "agent_id": chance.choice(AGENTS),
    }


def _live(
    repository: Repository, clock: list[datetime], customer: Customer, chance: random.Random, now: datetime
) -> Customer:
    """A third are changed some days after they came; one in sixteen is deleted, not so long ago that it is due."""
    if chance.random() < 1 / 3:
        clock[0] += min(timedelta(days=60), now - clock[0]) * chance.random()
        customer = repository.update(customer.id, None, {"status": chance.choice(STATUSES)}, _whatever)
    if chance.random() < 1 / 16:
        clock[0] = max(clock[0], now - timedelta(days=RETENTION_DAYS / 2))
        clock[0] += (now - clock[0]) * chance.random()
        repository.delete(customer.id, None, _whatever)
    return customer


def _whatever(_: Customer) -> None:
    """Every version will do."""
