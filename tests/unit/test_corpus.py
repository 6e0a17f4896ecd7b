"""The files in tests/corpus, read as an import reads them."""

import json
import subprocess
import sys
from io import BytesIO

import pytest

from customers.api import MAX_FILE_BODY_BYTES
from customers.sheets import UnreadableFile, as_csv, columns_of, records, sniff, values_of
from tests.corpus.bombs import BOMBS
from tests.corpus.files import FILES
from tests.handlers import Api
from tools.template import ROOT

MAX_BOMB_SECONDS = 1
MAX_BOMB_BYTES = 64 << 20

type Read = tuple[dict[int, dict[str, str] | str], tuple[str, ...]]


def read(content: bytes) -> Read:
    """By row number the values or the problem's code; and the unknown columns."""
    with as_csv(BytesIO(content)) as file:
        found = (record for _, record in records(file, sniff(file)))
        columns = columns_of(next(found, None))
        rows = {
            record.number: problem.code if (problem := columns.problem_of(record)) else dict(values_of(record, columns))
            for record in found
        }
    return rows, columns.unknown


@pytest.mark.parametrize("name", [name for name, file in FILES.items() if not file.refused])
def test_a_file_is_read_as_it_was_meant(name: str) -> None:
    assert read(FILES[name].content()) == (FILES[name].rows, FILES[name].unknown)


@pytest.mark.parametrize("name", [name for name, file in FILES.items() if file.refused and name not in BOMBS])
def test_a_file_that_cannot_be_read_is_refused(name: str) -> None:
    with pytest.raises(UnreadableFile) as refused:
        read(FILES[name].content())
    assert refused.value.code == FILES[name].refused


@pytest.mark.parametrize("name", [name for name in FILES if name not in BOMBS])
def test_what_an_import_answers_to_a_file_is_what_is_in_it(api: Api, name: str) -> None:
    """Refused as a whole, or each row counted once; what could not be read is among the skipped."""
    file, content = FILES[name], FILES[name].content()
    answer = api.upload(content)
    if len(content) > MAX_FILE_BODY_BYTES - 1_000:
        assert answer.status == 413
    elif file.refused:
        assert (answer.status, answer.body["detail"][0]["type"]) == (422, file.refused)
    elif len(file.rows) > 100:
        assert (answer.status, answer.body["detail"][0]["type"]) == (422, "too_many_rows")
    else:
        counts = answer.body
        assert counts["total"] == counts["created"] + counts["updated"] + counts["skipped"] == len(file.rows)
        unknown = [each["field"] for each in counts["errors"] if each["code"] == "unknown_column"]
        assert unknown == list(file.unknown)
        errors = {(each["row"], each["code"]) for each in counts["errors"]}
        assert {(row, code) for row, code in file.rows.items() if isinstance(code, str)} <= errors
        listed = api.call("list_customers", query="limit=200").body["data"]
        assert len(listed) == counts["created"]
        told = [values for values in file.rows.values() if not isinstance(values, str)]
        assert {each["customer_id"] for each in listed} <= {
            each["customer_id"].strip() for each in told if "customer_id" in each
        }


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_at_once_and_costs_nothing(name: str) -> None:
    """In a process of its own, which says how much larger it got, and how many seconds of a processor it took."""
    content, code = BOMBS[name]
    command = [sys.executable, "-c", REFUSE]
    ran = subprocess.run(command, input=content(), cwd=ROOT / "layers/shared", capture_output=True, check=False)  # noqa: S603
    assert not ran.stderr, ran.stderr.decode()
    refused, grown, seconds = json.loads(ran.stdout)
    assert refused == code
    assert grown < MAX_BOMB_BYTES
    assert seconds < MAX_BOMB_SECONDS


# In a process of that process: the first one's largest size includes that of whoever started it.
REFUSE = """
import json, os, resource, sys
from io import BytesIO
import python_calamine
from customers.api import MAX_FILE_BODY_BYTES
from customers.sheets import UnreadableFile, as_csv

content = BytesIO(sys.stdin.buffer.read())
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
before = resource.getrusage(resource.RUSAGE_SELF)
try:
    as_csv(content)
    code = "taken"
except UnreadableFile as refused:
    code = refused.code
after = resource.getrusage(resource.RUSAGE_SELF)
seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps([code, (after.ru_maxrss - before.ru_maxrss) * (1 if sys.platform == "darwin" else 1024), seconds]))
"""
