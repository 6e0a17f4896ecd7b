"""What people type into a search field: a stated mix of queries over a population, the same each time.

The mix is that of a study of 330 queries: names typed letter by letter and in full, e-mails, domains, ends of telephone
numbers, keys, one or two letters, and what nobody has. 15 % of it is one or two letters, which set every p95.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from random import Random

from bench.population import Population
from customers.models import Customer

SAMPLED = 20_000  # customers of whom the queries are made
PHONE_DIGITS = 5
TYPED = 8  # letters at the most

type Make = Callable[[Random, list[Customer]], str]


def _surname(random: Random, people: list[Customer]) -> str:
    return str(random.choice(people).surname)


def _full_name(random: Random, people: list[Customer]) -> str:
    person = random.choice(people)
    return f"{person.name} {person.surname}"


def _email(random: Random, people: list[Customer]) -> str:
    return next(str(person.email) for person in random.choices(people, k=len(people)) if person.email)


def _domain(random: Random, people: list[Customer]) -> str:
    return _email(random, people).partition("@")[2]


def _phone(random: Random, people: list[Customer]) -> str:
    return next(str(person.phone)[-PHONE_DIGITS:] for person in random.choices(people, k=len(people)) if person.phone)


def _key(random: Random, people: list[Customer]) -> str:
    return random.choice(people).customer_id


def _fragment(letters: int) -> Make:
    def make(random: Random, people: list[Customer]) -> str:
        text = _surname(random, people)
        start = random.randrange(max(len(text) - letters, 0) + 1)
        return text[start : start + letters].lower()

    return make


def _nobody(random: Random, _people: list[Customer]) -> str:
    return "".join(random.choices("qxyz", k=7))


KINDS: Mapping[str, tuple[int, Make]] = {  # how many there are of each
    "surname": (40, _surname),
    "name and surname": (40, _full_name),
    "e-mail": (30, _email),
    "domain": (24, _domain),
    "end of a telephone number": (30, _phone),
    "customer_id": (30, _key),
    "fragment of 4": (15, _fragment(4)),
    "two letters": (15, _fragment(2)),
    "one letter": (10, _fragment(1)),
    "nobody": (30, _nobody),
}
TYPED_SURNAMES = 12  # letter by letter


def queries(people: Population) -> Iterator[tuple[str, str]]:
    """The kind and the text of each."""
    random = Random("queries")  # noqa: S311 - made-up queries
    sample = [each for each in islice(people.customers(), SAMPLED) if each.owner_id == people.owner]
    for kind, (number, make) in KINDS.items():
        yield from ((kind, make(random, sample)) for _ in range(number))
    for _ in range(TYPED_SURNAMES):
        surname = _surname(random, sample)[:TYPED]
        yield from (("typed letter by letter", surname[:letters]) for letters in range(1, len(surname) + 1))
