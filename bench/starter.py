"""Starts variants cold: each in a fresh process, under Lambda's own runtime client, for one request."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from uuid import uuid4

from bench import stub
from bench.cold_start import COUNT_OPENS
from bench.variants import PROCESSORS, Variant, comparable_event, environment, runtime
from tests.engine.runtime_api import Invocation, RuntimeApi
from tools.build import INTERPRETER
from tools.template import ROOT

WAIT_SECONDS = 600  # for anything; Callgrind is fifty times slower
DEADLINE_MILLISECONDS = 900_000
CALLGRIND = ("valgrind", "-q", "--tool=callgrind", "--zero-before=getpgrp", "--dump-before=getsid")

type Figures = dict[str, float]


class BenchmarkError(RuntimeError):
    """A variant did not do what it is measured for."""


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts variants, one after the other."""

    api: RuntimeApi
    endpoint: str
    runtime: Path

    def start(self, variant: Variant, *wrapper: str, **settings: str) -> Figures:
        """The figures of one cold start. Raises `BenchmarkError` unless it ends well."""
        self.api.invocations.put(
            Invocation(json.dumps(comparable_event(variant.operation)).encode(), DEADLINE_MILLISECONDS, str(uuid4()))
        )
        reader, writer = os.pipe()
        program = [INTERPRETER, "-S", "-s", "-P", "-B", str(ROOT / "bench" / "cold_start.py")]
        arguments = [str(writer), str(PROCESSORS[-1]), str(self.runtime), variant.handler, *map(str, variant.folders)]
        done = subprocess.run(  # noqa: S603 - ours
            [*wrapper, *program, *arguments],
            env=self._environment(variant) | settings,
            cwd=variant.folders[0],
            pass_fds=[writer],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
        os.close(writer)
        with os.fdopen(reader) as report:
            figures = report.read()
        if problem := self._problem(variant, done.returncode):
            raise BenchmarkError(f"{variant.name}, {variant.operation}: {problem}\n{done.stdout[-3_000:]}")
        return json.loads(figures)  # type: ignore[no-any-return]

    def _problem(self, variant: Variant, status: int) -> str | None:
        """What was wrong with its answer or its end."""
        try:
            path, answer = self.api.posts.get(timeout=1)
        except Empty:
            return f"no answer, exit status {status}"
        good = path.endswith("/response") and (not variant.is_http or answer["statusCode"] in {200, 201, 202, 204})
        return None if good and status == 0 else f"{path}, {answer}, exit status {status}"

    def _environment(self, variant: Variant) -> dict[str, str]:
        return {
            **environment(self.endpoint),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.server_port}",
            "LAMBDA_TASK_ROOT": str(variant.folders[0]),
            "LANG": "en_US.UTF-8",
            "PATH": os.defpath,
            "_HANDLER": variant.handler,
        }

    def inspect(self, variant: Variant) -> Figures:
        """How many modules it imports and files it opens, its own and Python's."""
        figures = self.start(variant, **{COUNT_OPENS: "1"})
        return {name: figures[name] for name in ("modules", "opens")}

    def instructions(self, variant: Variant) -> int:
        """Machine instructions from the import to the end of the first call, of all threads."""
        with TemporaryDirectory() as directory:
            out = Path(directory) / "callgrind"
            self.start(variant, *CALLGRIND, f"--callgrind-out-file={out}", PYTHONHASHSEED="0")
            (found,) = re.findall(r"^summary: (\d+)", out.with_suffix(".1").read_text(), re.MULTILINE)
        return int(found)


@contextmanager
def starter() -> Iterator[Starter]:
    """Everything but the variants runs on the first processor."""
    at = runtime()
    with stub.running(PROCESSORS[0]) as endpoint, RuntimeApi() as api:
        server = threading.Thread(target=api.serve_forever, args=[0.05])
        server.start()
        try:
            yield Starter(api, endpoint, at)
        finally:
            api.invocations.put(None)
            api.shutdown()
            server.join()


def drop_from_page_cache(variant: Variant) -> None:
    """Have its files read from disk again; what belongs to Python and the system stays, as others use it."""
    for folder in variant.folders:
        for path in folder.rglob("*"):
            if path.is_file():
                descriptor = os.open(path, os.O_RDONLY)
                os.fsync(descriptor)  # what is not on disk yet would stay
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)
