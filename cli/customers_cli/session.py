"""One run of a command: what it works with, and the exit code that it comes to."""

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import typer

from customers_cli.client import Api, Job
from customers_cli.connection import Connection
from customers_cli.failures import FAILED, INTERRUPTED, UNREAD, Failure
from customers_cli.links import Links
from customers_cli.view import View
from customers_cli.words import is_over
from customers_cli.world import World

FIRST_INTERVAL, GROWTH, LONGEST_INTERVAL = 0.5, 1.3, 3.0  # seconds between two looks at a job


@dataclass
class Session:
    api: Api
    links: Links
    view: View
    world: World
    as_json: bool
    if_left: Sequence[str] = ()  # what the user should know when this ends before its job does

    def follow(self, path: str, job: Job) -> Job:
        """Show the job that is at `path` until it is over; what it is then. Raises `Refused`, `Unreachable`."""
        return self.view.follow(self.looks(path, job))

    def looks(self, path: str, job: Job) -> Iterator[Job]:
        """The job that is at `path`, again and again until it is over. Raises `Refused`, `Unreachable`."""
        yield job
        interval, asked = FIRST_INTERVAL, 0.0
        while not is_over(job):
            self.world.sleep(asked or interval)
            interval = min(interval * GROWTH, LONGEST_INTERVAL)
            answer = self.api.get(path)
            job, asked = answer.body, answer.retry_after
            yield job


@contextmanager
def session(
    context: typer.Context, connection: Connection, *, as_json: bool, stdout_is_data: bool = False
) -> Iterator[Session]:
    """Turns what ends a command early into a sentence and an exit code. Raises `typer.Exit`."""
    world = context.ensure_object(World)
    view = View(world.clock, stdout_is_data=as_json or stdout_is_data)
    with _while_read(), closing(Api(connection, world, view.note)) as api, closing(Links(world, view.note)) as links:
        run = Session(api, links, view, world, as_json)
        try:
            yield run
        except (BrokenPipeError, typer.BadParameter, typer.Exit):
            raise  # what others deal with
        except KeyboardInterrupt:
            view.note("Interrupted.")
            code = INTERRUPTED
        except Failure as failure:
            view.error(str(failure))
            code = failure.exit_code
        except OSError as error:
            view.error(str(error))
            code = FAILED
        except Exception:  # a fault of ours must not look like rejected rows
            traceback.print_exc()
            code = FAILED
        else:
            return
        for line in run.if_left:
            view.note(line)
        raise typer.Exit(code)


@contextmanager
def _while_read() -> Iterator[None]:
    """Whoever reads the output may stop, as `head` does: that is no fault, and nobody hears what is said of it."""
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):  # the interpreter flushes them once more when it ends
            os.dup2(nowhere, stream.fileno())
        raise typer.Exit(UNREAD) from None
