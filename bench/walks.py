"""The whole list, page by page: what a walk by offset reads compared with one by cursor; neither misses a record."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from threading import Event, Thread
from urllib.parse import parse_qsl, urlsplit

from rich.progress import Progress

from bench.meter import Meter, consumed
from bench.operations import PAGE, Subject
from tests.handlers import Answer

NEXT = re.compile(r'<([^>]*)>; rel="next"')  # in a header `link`, RFC 8288
WRITER_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Walked:
    """A walk's pages and units on quiet data. While others wrote, `wrong` records were not shown exactly once."""

    name: str
    pages: int
    read_units: float
    write_units: float
    wrong: int

    @property
    def figures(self) -> tuple[float, ...]:
        return self.pages, self.read_units, self.write_units, self.wrong


def walks(subject: Subject, meter: Meter, progress: Progress) -> Iterator[Walked]:
    """Both ways. Raises `AssertionError` if a record is shown twice or not at all though nobody writes."""
    for name, pages in {"by cursor": by_cursor, "by offset": by_offset}.items():
        meter.take()
        seen = _seen(pages(subject), subject, progress, name)
        calls = meter.take()
        if set(seen.values()) != {1} or len(seen) != subject.page(limit=1).body["meta"]["total"]:
            raise AssertionError(f"A walk {name} showed {len(seen)} records")
        pages_read = -(-len(seen) // PAGE)
        read, written = (sum(consumed(calls, reads=reads).values()) for reads in (True, False))
        with _others_write(subject) as touched:
            again = _seen(pages(subject), subject, progress, f"{name} while others write")
        wrong = {id for id in (seen.keys() | again.keys()) - touched if again[id] != 1}
        yield Walked(name, pages_read, read, written, len(wrong))


def by_offset(subject: Subject) -> Iterator[Answer]:
    """Until a page is empty: totals go down while others delete what was passed."""
    for offset in count(0, PAGE):
        answer = subject.page(limit=PAGE, offset=offset)
        if not answer.body["data"]:
            return
        yield answer


def by_cursor(subject: Subject) -> Iterator[Answer]:
    parameters: dict[str, str] | None = {"limit": str(PAGE)}
    while parameters:
        answer = subject.page(**parameters)
        yield answer
        link = NEXT.search(answer.headers.get("link", ""))
        parameters = dict(parse_qsl(urlsplit(link[1]).query)) if link else None


def _seen(pages: Iterator[Answer], subject: Subject, progress: Progress, name: str) -> Counter[str]:
    seen = Counter[str]()
    task = progress.add_task(f"Walking {name}", total=subject.people.live)
    for answer in pages:
        seen.update(each["id"] for each in answer.body["data"])
        progress.update(task, completed=seen.total())
    return seen


@contextmanager
def _others_write(subject: Subject) -> Iterator[set[str]]:
    """Meanwhile records come and go; those that did are in the set."""
    touched = set[str]()
    done = Event()

    def write() -> None:
        victims = iter([each["id"] for each in subject.page(limit=PAGE, sort_field="name").body["data"]])
        while not done.wait(WRITER_PAUSE_SECONDS):
            touched.add(subject.create(name="Zoë", status="lead"))
            if victim := next(victims, None):
                touched.add(victim)
                subject.call("delete_customer", victim)

    writer = Thread(target=write)
    writer.start()
    try:
        yield touched
    finally:
        done.set()
        writer.join()
