"""`make run`: the whole stack on this machine, with demo data, until Ctrl-C."""

import argparse
import json
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import boto3
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from customers.auth import SCOPES, StoredKey
from tools import access_token, api_key, demo, demo_activity, put_events
from tools.build import HOST_ARCHITECTURE, BuildError, up_to_date
from tools.local_cloud import DIRECTORY, LOCAL_STACK, LocalCloud, LocalCloudError
from tools.stack import Stack, StackError
from tools.template import ROOT

BUILD = ROOT / ".local" / "build"
OWNER, ADMINISTRATOR = "ada", "root"
EVENTS_SECONDS = 240  # one that could not be recorded at once is tried again after 180
TOKEN_HOURS = 24 * 7
MAX_PORT = 65_535
DEMO_KEY = StoredKey(key_id="", secret_hash="", owner_id=OWNER, role="owner", scopes=SCOPES, name="make run")

console = Console(stderr=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--port", type=int, default=4566)
    port = parser.parse_args().port
    if port not in range(1, MAX_PORT + 1):
        parser.error(f"a port is a number from 1 to {MAX_PORT}: make run PORT=4567")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a closed terminal, too, must leave the data on disk
        signal.signal(number, _interrupt)
    try:
        run(LocalCloud(DIRECTORY, port))
    except KeyboardInterrupt:
        console.print("Stopped. The data are kept; make run goes on with them, make clean removes them.")
        return 0
    except (BuildError, LocalCloudError, StackError) as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1
    return 0


def run(cloud: LocalCloud) -> None:
    """Until `KeyboardInterrupt`. Raises `BuildError`, `LocalCloudError`, `StackError`."""
    cloud.enter()
    with cloud.started() as ministack:
        with step(f"Building the functions and their layer for {HOST_ARCHITECTURE}"):
            build = up_to_date(HOST_ARCHITECTURE, BUILD)
        if not cloud.has(build):
            with step("Deploying template.yaml"):
                cloud.deploy(build)
        stack = Stack.find(LOCAL_STACK)
        cloud.end_imports(stack.outputs["ImportMachineArn"])
        if not demo.is_there(stack.table):
            make_demo(stack)
        introduce(cloud.api_url(stack.outputs["ApiId"]), stack)
        ministack.wait()
        raise LocalCloudError("MiniStack has ended by itself, and its data since the last start are lost")


def make_demo(stack: Stack) -> None:
    """Customers, and what happens to them, which takes the way that the events of other services take.

    Raises `LocalCloudError`, `StackError`.
    """
    now = datetime.now(UTC)
    with step("Making demo customers", total=sum(demo.OWNERS.values())) as progress:
        for _ in demo.seed(stack.table, now):
            progress.advance(progress.task_ids[0])
    events = demo_activity.events(stack.table, now)
    with step("Letting them be called and written to", total=len(events)) as progress:
        sqs: Any = boto3.client("sqs")
        sqs.purge_queue(QueueUrl=stack.outputs["ActivityQueueUrl"])  # what an interrupted run has left is put again
        put_events.put(stack, events)
        for waiting in _waiting(sqs, stack.outputs["ActivityQueueUrl"]):
            progress.update(progress.task_ids[0], completed=len(events) - waiting)
    demo.finish(stack.table)


def _waiting(sqs: Any, queue_url: str) -> Iterator[int]:
    """How many events are not recorded yet, until it is none. Raises `LocalCloudError` if that takes too long."""
    numbers = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    deadline = time.monotonic() + EVENTS_SECONDS
    while True:
        attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=numbers)["Attributes"]
        waiting = sum(int(attributes[name]) for name in numbers)
        yield waiting
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise LocalCloudError(f"{waiting} events of the demo could not be recorded: run it again")
        time.sleep(0.2)


def introduce(url: str, stack: Stack) -> None:
    """Say what there is, in lines that can be pasted."""
    token = access_token.issue(stack, OWNER, hours=TOKEN_HOURS)
    admin = access_token.issue(stack, ADMINISTRATOR, admin=True, hours=TOKEN_HOURS)
    expires_at = datetime.now(UTC) + timedelta(hours=TOKEN_HOURS)
    key = api_key.create(stack.table, replace(DEMO_KEY, expires_at=expires_at))
    newest = _get(f"{url}/customers?limit=1", token)
    id = newest["data"][0]["id"] if newest["data"] else UUID(int=0)
    new = json.dumps({"customer_id": f"WEB-{datetime.now(UTC):%Y%m%d%H%M%S}", "name": "Zoe", "status": "lead"})
    by_token, by_key = f"-H 'Authorization: Bearer {token}'", f"-H 'X-API-Key: {key}'"
    print(
        f"""
The customers API is up. Ctrl-C stops it; the data stay.

export API={url}
export TOKEN={token}  # {OWNER}'s
export ADMIN_TOKEN={admin}  # an administrator's
export API_KEY={key}  # {OWNER}'s; all three expire in {TOKEN_HOURS // 24} days

# 200: the two newest of {OWNER}'s {newest["meta"]["total"]} customers
curl -s '{url}/customers?limit=2' {by_token}
# 200: those with "mull" somewhere, whatever the case and the accents, and how many each quick filter would show
curl -s '{url}/customers?q=mull&sort_field=surname&sort_dir=asc&include_aggregations=true' {by_key}
# 201: a new customer; sent again, the same answer and nothing new
curl -s '{url}/customers' {by_token} -H 'Content-Type: application/json' -H 'Idempotency-Key: {uuid4()}' -d '{new}'
# 200: the newest customer's detail: its statistics, its last call and its campaigns
curl -s '{url}/customers/{id}/detail' {by_token}
# 200: the calls that it answered, and what was said in them
curl -s '{url}/customers/{id}/activity?type=call&outcome=answered' {by_token}
# 200: its campaigns, those that go on
curl -s '{url}/customers/{id}/campaigns?status=running,paused' {by_key}
# 200: three of everybody's deleted customers, as an administrator sees them
curl -s '{url}/customers?only_deleted=true&limit=3' -H 'Authorization: Bearer {admin}'
""",
        flush=True,
    )


def _get(url: str, token: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.load(response)


@contextmanager
def step(what: str, total: float | None = None) -> Iterator[Progress]:
    """Show that something is going on, and how long it takes."""
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, *((BarColumn(),) if total else ()), console=console) as progress:
        task = progress.add_task(what, total=total)
        yield progress
        progress.update(task, total=total or 1, completed=total or 1)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
