"""The local cloud, without starting it: who works with it reaches no other account, and errors say what helps."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread, Timer
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.utils import get_environ_proxies

from tools import local_cloud, stack
from tools.build import Build
from tools.local_cloud import HOST, LocalCloud, LocalCloudError, without_aws
from tools.stack import Stack, StackError

HEALTHY = b"HTTP/1.0 200 OK\r\n\r\n"
ELSEWHERE = "https://dynamodb.eu-central-1.amazonaws.com"
ANOTHER_ACCOUNT = {
    "AWS_PROFILE": "prod",
    "AWS_ACCESS_KEY_ID": "AKIAPROD",
    "AWS_SECRET_ACCESS_KEY": "prod",
    "AWS_SESSION_TOKEN": "prod",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/prod",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/prod",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/prod",
    "AWS_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": "https://example.com",
    "AWS_ENDPOINT_URL_DYNAMODB": ELSEWHERE,
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_DATA_PATH": "/prod",
}
CONFIG = f"[profile prod]\nendpoint_url = {ELSEWHERE}\n[default]\nregion = eu-central-1\nendpoint_url = {ELSEWHERE}\n"


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test does to the process's environment ends with it, and so does what has been remembered of it."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(urllib.request, "_opener", None)  # knows the proxies of its first request
    with patch.dict(os.environ):
        yield


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    monkeypatch.setattr(local_cloud, "DIRECTORY", tmp_path)
    return LocalCloud(tmp_path, 4566)


@pytest.fixture
def developer(tmp_path: Path) -> None:
    """Somebody who works with an account on AWS."""
    for file in ("config", "credentials"):
        (tmp_path / file).write_text(CONFIG)
    files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    os.environ.update(ANOTHER_ACCOUNT | files)


@pytest.fixture
def port() -> Iterator[int]:
    """A port that somebody listens on and never answers."""
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def answering(text: bytes) -> Iterator[int]:
    """What gives this answer to everybody, at the port that `make run` has noted."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(text)

    with ThreadingTCPServer((HOST, 0), Handler) as server:
        port: int = server.socket.getsockname()[1]
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        (local_cloud.DIRECTORY / "port").write_text(str(port))
        try:
            yield port
        finally:
            server.shutdown()


@pytest.mark.usefixtures("developer")
class TestOfOtherAccounts:
    def test_entering_leaves_no_variable_of_them_and_every_other_one(self, cloud: LocalCloud) -> None:
        os.environ["PASSWORD"] = "mine"
        cloud.enter()
        assert {name: value for name, value in os.environ.items() if name.startswith("AWS_")} == cloud.environment
        assert not set(os.environ.values()) & {*ANOTHER_ACCOUNT.values(), ELSEWHERE} - {"true"}
        assert os.environ["PASSWORD"] == "mine"

    @pytest.mark.parametrize("service", ["dynamodb", "cloudformation", "s3"])
    def test_after_entering_every_client_is_of_this_machine(self, cloud: LocalCloud, service: Any) -> None:
        boto3.setup_default_session()  # somebody's, made before
        cloud.enter()
        client = boto3.client(service)
        assert client.meta.endpoint_url == f"http://{HOST}:4566"
        assert client._request_signer._credentials.access_key == "test"

    def test_its_own_client_is_of_this_machine_whatever_the_environment_says(self, cloud: LocalCloud) -> None:
        client = cloud.client("dynamodb")
        assert client.meta.endpoint_url == f"http://{HOST}:4566"
        assert (client.meta.region_name, client._request_signer._credentials.token) == ("us-east-1", None)

    def test_sam_deploys_with_nothing_of_them_and_its_failure_is_told(
        self, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(LocalCloud, "_secret_arn", lambda _: "arn")
        failed = subprocess.CompletedProcess([], 1, "what it said", "")
        with (
            patch.object(subprocess, "run", return_value=failed) as run,
            pytest.raises(LocalCloudError, match=r"(?s)sam deploy failed.*what it said"),
        ):
            cloud.deploy(Build(cloud.directory, "x86_64"))
        given = run.call_args.kwargs["env"]
        assert {name: value for name, value in given.items() if name.startswith("AWS_")} == cloud.environment

    def test_functions_inherit_nothing_of_the_developers(self, cloud: LocalCloud) -> None:
        os.environ["PASSWORD"] = "prod"
        own = cloud._own_environment()
        assert not [name for name in own if name == "PASSWORD" or name.startswith("AWS_")]
        assert own["BIND_HOST"] == HOST


def test_without_aws_drops_what_begins_with_aws_and_nothing_else() -> None:
    kept = {"PATH": "/bin", "AWSOME": "1", "MY_AWS_KEY": "2"}
    assert without_aws(kept | ANOTHER_ACCOUNT) == kept


class TestProxies:
    @pytest.fixture(autouse=True)
    def _behind_a_proxy(self, port: int) -> None:
        for name in ("no_proxy", "NO_PROXY", "http_proxy"):
            os.environ.pop(name, None)
        os.environ["HTTP_PROXY"] = f"http://{HOST}:{port}"

    def test_a_running_stack_is_found_without_asking_a_proxy(self, cloud: LocalCloud) -> None:
        with answering(HEALTHY) as port:
            assert LocalCloud.running() == LocalCloud(cloud.directory, port)

    def test_after_entering_no_request_goes_through_a_proxy(self, cloud: LocalCloud) -> None:
        cloud.enter()
        assert get_environ_proxies(cloud.environment["AWS_ENDPOINT_URL"]) == {}


def test_a_taken_port_is_a_sentence_that_names_the_next_one(tmp_path: Path, port: int) -> None:
    with pytest.raises(LocalCloudError, match=rf"Port {port} is taken.*make run PORT={port + 1}$"):
        LocalCloud(tmp_path, port)._require_free_port()


def test_one_directory_is_for_one_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    with (
        LocalCloud(tmp_path, 4566)._locked(),
        pytest.raises(LocalCloudError, match=r"Another make run has the data in .* make run PORT=4568$"),
        LocalCloud(tmp_path, 4567).started(),
    ):
        pytest.fail("two have started")
    assert (tmp_path / "tmp").is_dir()
    with LocalCloud(tmp_path, 4567)._locked():
        pass


def test_one_that_is_stopping_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as other:
        other.enter_context(LocalCloud(tmp_path, 4566)._locked())
        LocalCloud(tmp_path, 4566)._stopping.touch()
        Timer(0.2, other.close).start()
        with LocalCloud(tmp_path, 4567)._locked():
            assert not LocalCloud(tmp_path, 4567)._stopping.exists()
    assert capsys.readouterr().err.count("saving its data") == 1


def test_one_that_goes_on_stopping_is_not_waited_for_any_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_cloud, "STOP_SECONDS", 0.1)
    with LocalCloud(tmp_path, 4566)._locked():
        LocalCloud(tmp_path, 4566)._stopping.touch()
        with pytest.raises(LocalCloudError, match="Another make run"), LocalCloud(tmp_path, 4567)._locked():
            pytest.fail("two have started")


SAVING = """
import signal, sys, time
signal.signal(15, lambda *_: (time.sleep(0.5), sys.exit(0)))
print(flush=True)
signal.pause()
"""


@pytest.fixture
def ministack() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that takes half a second to end when it is asked to."""
    command = [sys.executable, "-c", SAVING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:  # noqa: S603
        assert process.stdout
        process.stdout.readline()
        yield process


def test_one_that_does_not_end_in_time_is_killed(
    ministack: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_cloud, "STOP_SECONDS", 0.1)
    assert not local_cloud._stop(ministack)


@pytest.mark.parametrize("impatience", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_does_not_cut_short_how_it_ends(
    ministack: "subprocess.Popen[bytes]", impatience: signal.Signals
) -> None:
    Timer(0.1, os.kill, (os.getpid(), impatience)).start()
    assert local_cloud._stop(ministack)


def test_a_port_that_has_just_been_left_is_free(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as listener, socket.create_connection(listener.getsockname()) as connection:
        port = listener.getsockname()[1]
        listener.accept()[0].close()  # who closes first keeps the port in TIME_WAIT
        connection.recv(1)
    LocalCloud(tmp_path, port)._require_free_port()


class TestRunningInTheBackground:
    def test_the_one_that_make_run_has_started_is_found(self, cloud: LocalCloud) -> None:
        with answering(HEALTHY) as port:
            assert LocalCloud.running() == LocalCloud(cloud.directory, port)

    @pytest.mark.usefixtures("cloud")
    def test_before_the_first_start_the_sentence_names_make_run(self) -> None:
        with pytest.raises(LocalCloudError, match="not running: start it with make run"):
            LocalCloud.running()

    def test_after_it_was_stopped_the_sentence_names_make_run(self, cloud: LocalCloud) -> None:
        with socket.create_server((HOST, 0)) as listener:
            (cloud.directory / "port").write_text(str(listener.getsockname()[1]))
        with pytest.raises(LocalCloudError, match="not running: start it with make run"):
            LocalCloud.running()

    @pytest.mark.usefixtures("cloud")
    @pytest.mark.parametrize("answer", [b"HTTP/1.0 404 Not Found\r\n\r\n", b"SSH-2.0-OpenSSH_9.9\r\n", b""])
    def test_another_service_at_its_port_is_not_taken_for_it(self, answer: bytes) -> None:
        with answering(answer), pytest.raises(LocalCloudError, match="not running: start it with make run"):
            LocalCloud.running()


class TestChosen:
    @pytest.mark.usefixtures("cloud")
    def test_without_a_name_and_a_running_stack_the_sentence_names_make_run(self) -> None:
        with pytest.raises(StackError, match="not running: start it with make run"):
            stack.chosen(None)

    @pytest.mark.usefixtures("cloud", "developer")
    def test_without_a_name_the_tool_enters_the_local_stack(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Stack, "find", lambda name: Stack({"in": os.environ["AWS_ENDPOINT_URL"]}, {"name": name}))
        with answering(HEALTHY) as port:
            assert stack.chosen(None) == Stack({"in": f"http://{HOST}:{port}"}, {"name": "customers-local"})

    @pytest.mark.usefixtures("developer")
    def test_with_a_name_the_tool_stays_in_its_account(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Stack, "find", lambda name: Stack({"in": os.environ["AWS_PROFILE"]}, {"name": name}))
        assert stack.chosen("customers") == Stack({"in": "prod"}, {"name": "customers"})
