"""AWS on this machine: MiniStack in a process of its own, with template.yaml deployed to it as to AWS.

Everything it keeps is in one directory. Its address is on the loopback interface, and whoever works with it is cut off
from AWS accounts first (`LocalCloud.enter`).
"""

import fcntl
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import IO, Any, Self

import boto3

from tools.build import SAM_BIN, Build, sam_environment
from tools.template import ROOT

HOST = "127.0.0.1"
LOCAL_STACK = "customers-local"
SECRET = "customers-local/jwt"  # noqa: S105 - its name
DIRECTORY = Path(os.environ.get("LOCAL_CLOUD") or ROOT / ".local" / "cloud")
MINISTACK_BIN = ROOT / ".local" / "ministack" / "bin"
PARAMETERS = {"ProtectTable": "false", "CorsOrigins": "*"}
# Once its state is on the disk, it does not wait for threads that go on with what nobody can answer any more.
MINISTACK = "import os; from ministack.app import main; main(); os._exit(0)"
BUILD_TAG = "build"  # of the stack: which sources it was made from
START_SECONDS = 30
STOP_SECONDS = 120  # as it ends it writes all of its state, in pure Python
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine is behind no proxy


class LocalCloudError(RuntimeError):
    """It cannot be started, reached or deployed to; the message says why, and what helps."""


@dataclass(frozen=True, slots=True)
class LocalCloud:
    """`directory` is where its state, its log and its functions' code are."""

    directory: Path
    port: int

    @classmethod
    def running(cls) -> Self:
        """The one that `make run` has started. Raises `LocalCloudError`."""
        file = DIRECTORY / "port"
        cloud = cls(DIRECTORY, int(file.read_text()) if file.is_file() else 0)
        if not cloud.port or not cloud._answers():
            raise LocalCloudError("The local stack is not running: start it with make run")
        return cloud

    @property
    def environment(self) -> dict[str, str]:
        """What an AWS client needs to reach it and nothing else."""
        return {
            "AWS_ENDPOINT_URL": f"http://{HOST}:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",  # its root user
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def enter(self) -> None:
        """Make this the only AWS that this process and its children know: no key, profile or address of another."""
        for name in os.environ.keys() - without_aws(os.environ).keys():
            del os.environ[name]
        os.environ.update(self.environment)
        bypassed = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), HOST)))
        os.environ.update(no_proxy=bypassed, NO_PROXY=bypassed)  # a proxy is for downloads, never for this machine
        boto3.DEFAULT_SESSION = None

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name=self.environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )

    def api_url(self, api_id: str) -> str:
        return f"http://{HOST}:{self.port}/_aws/execute-api/{api_id}"

    @contextmanager
    def started(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run it, and yield its process; afterwards all that it started is stopped, and its state is on disk.

        Raises `LocalCloudError`.
        """
        scratch = self.directory / "tmp"
        with self._locked() as lock, (self.directory / "ministack.log").open("wb") as log:
            self._require_free_port()
            for left in self.directory.glob("tmp*"):  # code of functions that a killed run left
                _discard(left)
            scratch.mkdir()
            process = subprocess.Popen(  # noqa: S603 - ours
                [MINISTACK_BIN / "python", "-c", MINISTACK],
                env=self._own_environment(),
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C is for us; we stop it in order
                pass_fds=[lock],  # so that the lock lasts as long as it does, whatever becomes of us
            )
            is_up = False
            try:
                self._wait(process)
                is_up = True
                (self.directory / "port").write_text(str(self.port))
                yield process
            finally:
                self._stopping.touch()
                in_order = _stop(process)
                _discard(scratch)
                if is_up and not in_order:
                    raise LocalCloudError("MiniStack was killed, and its data since the last start are lost")

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Keep others from this directory: two would overwrite each other's state. One that is stopping is waited for.

        Raises `LocalCloudError`.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # tokens are signed with what is in it
        with (self.directory / "lock").open("w") as lock:
            waits_until = 0.0
            while not _has_locked(lock):
                if not self._stopping.exists() or 0 < waits_until < time.monotonic():
                    raise LocalCloudError(
                        f"Another make run has the data in {self.directory}. Stop it (Ctrl-C in its terminal), or give "
                        f"this one data of its own: LOCAL_CLOUD=/some/directory make run PORT={self.port + 1}"
                    )
                if not waits_until:
                    print("Another make run is saving its data; this one goes on when it has ended", file=sys.stderr)
                    waits_until = time.monotonic() + STOP_SECONDS
                time.sleep(0.05)
            self._stopping.unlink(missing_ok=True)
            yield lock.fileno()

    @property
    def _stopping(self) -> Path:
        """Is there from when the one that has the lock begins to stop until the next one has it."""
        return self.directory / "stopping"

    def _own_environment(self) -> dict[str, str]:
        """Its functions inherit this environment: nothing of the developer's may be in it."""
        return {
            "PATH": f"{MINISTACK_BIN}{os.pathsep}{os.defpath}",
            "HOME": str(self.directory),
            "TMPDIR": str(self.directory / "tmp"),
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": HOST,
            "AUTH": "true",  # the template's IAM policies hold
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.directory / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.directory / "s3"),
            "LOG_LEVEL": "WARNING",
        }

    def _require_free_port(self) -> None:
        """Raises `LocalCloudError`."""
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that has just been left is free
            try:
                listener.bind((HOST, self.port))
            except OSError:
                raise LocalCloudError(
                    f"Port {self.port} is taken, perhaps by another make run. Stop what listens there, or choose "
                    f"another port: make run PORT={self.port + 1}"
                ) from None

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise LocalCloudError(f"MiniStack did not start; see {self.directory / 'ministack.log'}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with DIRECT.open(f"http://{HOST}:{self.port}/_ministack/health", timeout=1):
                return True
        except (OSError, http.client.HTTPException):
            return False

    def has(self, build: Build) -> bool:
        """Whether `build` is what is deployed."""
        cloudformation = self.client("cloudformation")
        try:
            (stack,) = cloudformation.describe_stacks(StackName=LOCAL_STACK)["Stacks"]
        except cloudformation.exceptions.ClientError:  # there is none
            return False
        tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}
        return stack["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"} and tags.get(BUILD_TAG) == build.sources

    def deploy(self, build: Build) -> None:
        """Deploy to the stack `LOCAL_STACK`, with an HS256 secret of its own.

        Raises `LocalCloudError`.
        """
        parameters = {**PARAMETERS, "JwtSecretArn": self._secret_arn()}
        done = subprocess.run(  # noqa: S603 - our own command line
            [
                *(SAM_BIN / "sam", "deploy", "--template-file", build.template, "--stack-name", LOCAL_STACK),
                *("--resolve-s3", "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
                *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"),
                *("--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())),
                *("--tags", f"{BUILD_TAG}={build.sources}"),
            ],
            env=without_aws(sam_environment()) | self.environment,
            cwd=self.directory,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise LocalCloudError(f"sam deploy failed:\n{done.stdout[-3_000:]}{done.stderr[-3_000:]}")
        self._add_what_ministack_drops()

    def _secret_arn(self) -> str:
        """The secret that signs local tokens, made at the first deployment."""
        secrets = self.client("secretsmanager")
        with suppress(secrets.exceptions.ResourceExistsException):
            secrets.create_secret(Name=SECRET, SecretString=token_urlsafe(48))
        return str(secrets.describe_secret(SecretId=SECRET)["ARN"])

    def _add_what_ministack_drops(self) -> None:
        """The routes and CORS of the API's `Body`, and the table's TTL: MiniStack 1.5 deploys neither.

        It drops the bucket's lifecycle rule too, which it would not carry out if it had it.
        """
        cloudformation, gateway = self.client("cloudformation"), self.client("apigatewayv2")
        template = cloudformation.get_template(StackName=LOCAL_STACK, TemplateStage="Processed")["TemplateBody"]
        resources = (template if isinstance(template, dict) else json.loads(template))["Resources"]
        ids = {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in cloudformation.describe_stack_resources(StackName=LOCAL_STACK)["StackResources"]
        }
        body, api_id = resources["Api"]["Properties"]["Body"], ids["Api"]

        there = {route["RouteKey"] for route in gateway.get_routes(ApiId=api_id)["Items"]}
        for path, methods in body["paths"].items():
            for method, operation in methods.items():
                key = f"{method.upper()} {path}"
                if key not in there:
                    uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
                    function = ids[re.findall(r"\${(\w+)\.Arn}", uri)[0]]
                    integration = gateway.create_integration(
                        ApiId=api_id, IntegrationType="AWS_PROXY", PayloadFormatVersion="2.0", IntegrationUri=function
                    )
                    gateway.create_route(
                        ApiId=api_id, RouteKey=key, Target=f"integrations/{integration['IntegrationId']}"
                    )

        _, cors, _ = body["x-amazon-apigateway-cors"]["Fn::If"]
        settings = {name[0].upper() + name[1:]: value for name, value in cors.items()}
        gateway.update_api(ApiId=api_id, CorsConfiguration=settings | {"AllowOrigins": [PARAMETERS["CorsOrigins"]]})

        time_to_live = resources["Table"]["Properties"]["TimeToLiveSpecification"]
        dynamodb = self.client("dynamodb")
        now = dynamodb.describe_time_to_live(TableName=ids["Table"])["TimeToLiveDescription"]
        if now["TimeToLiveStatus"] != "ENABLED":
            dynamodb.update_time_to_live(TableName=ids["Table"], TimeToLiveSpecification=time_to_live)

    def end_imports(self, machine: str) -> None:
        """Tell of the executions of a state machine that the end of MiniStack has broken off, as AWS would.

        When it starts again it marks them as failed, and sends no event.
        """
        cloudformation, states = self.client("cloudformation"), self.client("stepfunctions")
        found = cloudformation.describe_stack_resource(StackName=LOCAL_STACK, LogicalResourceId="FinishImport")
        function = found["StackResourceDetail"]["PhysicalResourceId"]
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="FAILED")
        for execution in (each for page in pages for each in page["executions"]):
            broken = states.describe_execution(executionArn=execution["executionArn"])
            if broken.get("error") == "States.ServiceRestart":
                event = {"detail": {"name": broken["name"], "input": broken["input"]}}
                self.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event))


def without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("AWS_")}


def _discard(directory: Path) -> None:
    """Remove a directory behind our back: each function that ran has left thousands of files, which takes minutes."""
    gone = directory.with_name(f"tmp-{time.time_ns()}")
    directory.rename(gone)
    subprocess.Popen(  # noqa: S603 - what we have made
        ["rm", "-rf", gone],  # noqa: S607
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _has_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> bool:
    """Stop it, and then whatever it has left behind in its session.

    Whether it has ended in order, so that it has written its state; otherwise it was killed.
    """
    # Neither an impatient second Ctrl-C nor the end of the terminal may cost the data.
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for each, handler in before.items():
            signal.signal(each, handler)
    return process.returncode != -signal.SIGKILL
