"""What the user sees: bars and tables on a terminal; elsewhere plain lines, one now and then.

Progress and errors go to stderr, results to stdout; where stdout is for data, results go to stderr too.
"""

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column, Table
from rich.text import Text

from customers_cli import words
from customers_cli.client import Job
from customers_cli.links import At

NOW_AND_THEN = 10.0  # seconds between plain lines about the same thing
BAR_WIDTH = 16
WHOLE_COLUMNS = 2
READABLE_WIDTH = 40  # of all other columns together


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Rich would exit with 1, which says something else here."""
        raise BrokenPipeError


class View:
    def __init__(self, clock: Callable[[], float], *, stdout_is_data: bool) -> None:
        self._clock = clock
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does: not every encoding has every name
        self._err = _Console(stderr=True)
        self._results = self._err if stdout_is_data else _Console()

    def note(self, text: str) -> None:
        self._line(self._err, text)

    def error(self, text: str) -> None:
        self._line(self._err, f"Error: {text}", style="red")

    def result(self, text: str) -> None:
        self._line(self._results, text)

    def data(self, body: Any) -> None:
        """JSON in ASCII: nothing in it can be mistaken by a terminal."""
        sys.stdout.write(f"{json.dumps(body)}\n")
        sys.stdout.flush()  # here, where a closed pipe is dealt with

    def table(self, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
        """The first two columns stay whole: ids are there to be copied. A terminal too narrow for that has no columns.

        Where it is not read by people: its cells, with tabs between them, without the header.
        """
        cells = [[words.printable(cell) for cell in line] for line in lines]
        if not self._results.is_terminal:
            for line in cells:
                self._results.file.write("\t".join(line) + "\n")  # the console itself would make spaces of tabs
            self._results.file.flush()
            return
        whole = sum(max(map(len, column)) for column in [*zip(header, *cells, strict=True)][:WHOLE_COLUMNS])
        if self._results.width < whole + READABLE_WIDTH:
            for line in cells:
                self._line(self._results, "  ".join(line))
            return
        columns = (Column(name, no_wrap=at < WHOLE_COLUMNS, overflow="fold") for at, name in enumerate(header))
        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for line in cells:
            table.add_row(*map(Text, line))
        self._results.print(table)

    def follow(self, jobs: Iterable[Job]) -> Job:
        """Show each of `jobs`, which are one job as time goes by; the last of them."""
        if self._err.is_interactive:
            return self._follow_by_bar(jobs)
        job: Job = {}
        said, since = "", self._clock()
        for job in jobs:
            now = self._clock()
            if not words.is_over(job) and (job["state"] != said or now - since >= NOW_AND_THEN):
                self.note(words.progress(job))
                said, since = job["state"], now
        return job

    @contextmanager
    def transfer(self, what: str, total: int) -> Iterator[At]:
        """Show how `total` bytes go; yields what is to be told how many have gone."""
        if not self._err.is_interactive:
            self.note(f"{what}, {words.size(total)}")
            yield self._plain_transfer(total)
            return
        said = TextColumn("{task.description}", markup=False)
        columns = (said, BarColumn(BAR_WIDTH), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._err) as bar:
            task = bar.add_task(words.printable(what), total=total)
            yield lambda gone: bar.update(task, completed=min(gone, total))

    def _plain_transfer(self, total: int) -> At:
        since = self._clock()

        def at(gone: int) -> None:
            nonlocal since
            if self._clock() - since >= NOW_AND_THEN:
                since = self._clock()
                self.note(f"{100 * gone // max(total, 1)} % of {words.size(total)}")

        return at

    def _follow_by_bar(self, jobs: Iterable[Job]) -> Job:
        job: Job = {}
        line = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
        bar_column = BarColumn(BAR_WIDTH, table_column=Column(min_width=BAR_WIDTH))
        with Progress(bar_column, line, console=self._err) as bar:
            task = bar.add_task("", total=None)
            for job in jobs:
                measured = "total" in job
                total, done = (100, job["percent"]) if measured else (None, 0)
                bar.update(
                    task, total=total, completed=done, description=words.printable(words.progress(job, brief=True))
                )
        return job

    @staticmethod
    def _line(console: Console, text: str, style: str | None = None) -> None:
        console.out(words.printable(text), style=style, highlight=False)
