"""The issuer's keys: when they are fetched, what is believed, and what a hostile or broken issuer cannot do."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from customers.auth import jwks
from customers.auth.jwks import COOLDOWN_SECONDS, MAX_BYTES, TTL_SECONDS, KeySet, fetch_keys
from customers.errors import Unavailable

RSA, EC, OKP = RSAKey.generate_key(2048), ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519")
SOUND = OKP.as_dict(private=False)
MESSAGE = b"signed"
SIGNATURE = JWSRegistry.algorithms["Ed25519"].sign(MESSAGE, OKP)


class Issuer:
    """Stands in for the issuer: what it answers next, how often it was asked, and the time."""

    def __init__(self, *kids: str) -> None:
        self.time = 1_800_000_000.0
        self.fetches = 0
        self.serve(*(SOUND | {"kid": kid} for kid in kids))
        self.key_set = KeySet("https://issuer.example", self.fetch, lambda: self.time)

    def serve(self, *keys: Any) -> None:
        self.answer: bytes | Exception = json.dumps({"keys": keys}).encode()

    def fetch(self, _: str) -> bytes:
        self.fetches += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def knows(self, kid: str | None, alg: str = "EdDSA") -> bool:
        return self.key_set.find(kid, alg) is not None


class TestFetching:
    def test_nothing_is_fetched_before_a_token_asks(self) -> None:
        assert Issuer("a").fetches == 0

    def test_a_set_is_fetched_once_and_used_until_its_time_is_over(self) -> None:
        issuer = Issuer("a", "b")
        assert all(issuer.knows(kid) for kid in ["a", "b", "a"])
        issuer.time += TTL_SECONDS - 1
        assert issuer.knows("a")
        assert issuer.fetches == 1
        issuer.time += 1
        assert issuer.knows("a")
        assert issuer.fetches == 2

    def test_a_key_that_the_issuer_withdrew_is_dropped_with_the_next_set(self) -> None:
        issuer = Issuer("old")
        assert issuer.knows("old")
        issuer.serve(SOUND | {"kid": "new"})
        issuer.time += TTL_SECONDS
        assert not issuer.knows("old")

    def test_a_new_key_is_found_at_once_after_the_cooldown(self) -> None:
        issuer = Issuer("old")
        assert issuer.knows("old")
        issuer.serve(SOUND | {"kid": "new"})
        issuer.time += COOLDOWN_SECONDS
        assert issuer.knows("new")
        assert issuer.fetches == 2

    def test_a_storm_of_unknown_keys_costs_one_fetch_per_cooldown(self) -> None:
        issuer = Issuer("a")
        assert not any(issuer.knows(f"unknown {n}") for n in range(1_000))
        assert issuer.fetches == 1
        issuer.time += COOLDOWN_SECONDS
        assert not any(issuer.knows(f"unknown {n}") for n in range(1_000))
        assert issuer.fetches == 2

    def test_an_algorithm_that_is_not_ours_costs_no_fetch(self) -> None:
        issuer = Issuer("a")
        assert not any(issuer.knows("a", alg) for alg in ["none", "HS256", "RS512", "PS256", "ES256K", "Ed448", ""])
        assert issuer.fetches == 0

    def test_many_threads_share_one_fetch(self) -> None:
        issuer = Issuer("a")
        entered = threading.Event()

        def slow(_: str) -> bytes:
            entered.set()
            time.sleep(0.05)
            return issuer.fetch(_)

        issuer.key_set = KeySet("https://issuer.example", slow, lambda: issuer.time)
        found: list[bool] = []
        threads = [threading.Thread(target=lambda: found.append(issuer.knows("a"))) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert entered.is_set()
        assert found == [True] * 16
        assert issuer.fetches == 1


class TestOutages:
    BROKEN = pytest.mark.parametrize(
        "answer",
        [
            OSError("down"),
            TimeoutError(),
            ValueError("status 302"),
            b"",
            b"<html>",
            b"null",
            b"[]",
            b'"keys"',
            b"{}",
            b'{"keys": null}',
            b'{"keys": {}}',
            b'{"keys": [NaN]}',
            b'{"keys": ' + b"[" * 100_000,
            b"\xff\xfe",
        ],
        ids=repr,
    )

    @BROKEN
    def test_keys_that_were_never_reached_are_no_verdict_on_the_token(self, answer: bytes | Exception) -> None:
        issuer = Issuer()
        issuer.answer = answer
        with pytest.raises(Unavailable):
            issuer.knows("a")

    @BROKEN
    def test_known_keys_go_on_working_through_an_outage(self, answer: bytes | Exception) -> None:
        issuer = Issuer("a")
        assert issuer.knows("a")
        issuer.answer = answer
        issuer.time += TTL_SECONDS * 1_000
        assert issuer.knows("a")
        assert not issuer.knows("b")
        assert issuer.fetches == 2

    def test_a_failed_fetch_is_not_repeated_before_the_cooldown_is_over(self) -> None:
        issuer = Issuer("a")
        works, issuer.answer = issuer.answer, OSError("down")
        for _ in range(100):
            with pytest.raises(Unavailable):
                issuer.knows("a")
        assert issuer.fetches == 1
        issuer.answer = works
        issuer.time += COOLDOWN_SECONDS
        assert issuer.knows("a")

    def test_an_outage_is_logged_briefly(self, caplog: pytest.LogCaptureFixture) -> None:
        issuer = Issuer()
        issuer.answer = OSError("x" * 10_000)
        with pytest.raises(Unavailable):
            issuer.knows("key id of a token")
        assert "could not be fetched: OSError" in caplog.text
        assert len(caplog.messages[0]) < 300
        assert "key id of a token" not in caplog.text


class TestKeys:
    def test_a_key_checks_signatures(self) -> None:
        verify = Issuer("a").key_set.find("a", "EdDSA")
        assert verify is not None
        assert verify(MESSAGE, SIGNATURE)
        assert not verify(MESSAGE + b".", SIGNATURE)
        assert not verify(MESSAGE, b"")

    def test_the_example_of_rfc_8037_appendix_a_4_holds(self) -> None:
        issuer = Issuer()
        issuer.serve({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
        verify = issuer.key_set.find(None, "EdDSA")
        signature = (
            "860c98d2297f3060a33f42739672d61b53cf3adefed3d3c672f320dc021b411e"
            "9d59b8628dc351e248b88b29468e0e41855b0fb7d83bb15be902bfccb8cd0a02"
        )
        assert verify is not None
        assert verify(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", bytes.fromhex(signature))

    @pytest.mark.parametrize(
        ("key", "algs"), [(RSA, {"RS256"}), (EC, {"ES256"}), (OKP, {"EdDSA", "Ed25519"})], ids=["RSA", "EC", "OKP"]
    )
    def test_a_key_decides_which_algorithms_it_checks(self, key: RSAKey | ECKey | OKPKey, algs: set[str]) -> None:
        issuer = Issuer()
        issuer.serve(key.as_dict(private=False) | {"kid": "a"})
        assert {
            alg for alg in ["HS256", "RS256", "ES256", "EdDSA", "Ed25519", "none"] if issuer.knows("a", alg)
        } == algs

    @pytest.mark.parametrize(
        ("members", "fits"),
        [
            ({"alg": "EdDSA"}, True),
            ({"alg": "Ed25519"}, False),
            ({"alg": "RS256"}, False),
            ({"alg": None}, False),
            ({"use": "sig"}, True),
            ({"use": "enc"}, False),
            ({"key_ops": ["verify"]}, True),
            ({"key_ops": ["sign"]}, False),
            ({"key_ops": "verify"}, False),
            ({"crv": "Ed448"}, False),
            ({"kty": "EC"}, False),
            ({"kid": 1}, False),
            ({"x5c": ["junk"], "x5t": 7, "unknown": {}}, True),
        ],
    )
    def test_a_key_serves_only_what_it_is_for(self, members: dict[str, Any], fits: bool) -> None:
        issuer = Issuer()
        issuer.serve(SOUND | {"kid": "a"} | members)
        assert issuer.knows("a") is fits

    @pytest.mark.parametrize(
        "bad",
        [
            None,
            1,
            [],
            {},
            {"kty": "RSA", "kid": "bad"},
            {"kty": "RSA", "kid": "bad", "n": "!", "e": "AQAB"},
            {"kty": "RSA", "kid": "bad", "n": 1, "e": []},
            {"kty": "RSA", "kid": "bad", "n": RSA.as_dict(private=False)["n"], "e": "AQ"},
            {"kty": "EC", "kid": "bad", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "OKP", "kid": "bad", "crv": "Ed25519", "x": "AA"},
            {"kty": ["OKP"], "kid": {}, "crv": 1},
            SOUND | {"kid": ["bad"]},
            SOUND | {"kid": "bad", "key_ops": {"verify": 1}},
        ],
        ids=range(13),
    )
    def test_one_bad_key_does_not_spoil_the_others(self, bad: Any) -> None:
        issuer = Issuer()
        issuer.serve(bad, SOUND | {"kid": "good"})
        assert issuer.knows("good")
        assert not any(issuer.knows("bad", alg) for alg in ["RS256", "ES256", "EdDSA"])

    @pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
    def test_an_rsa_key_below_2048_bits_is_not_used(self) -> None:
        issuer = Issuer()
        issuer.serve(RSAKey.generate_key(1024).as_dict(private=False) | {"kid": "a"})
        assert not issuer.knows("a", "RS256")

    def test_a_private_key_that_an_issuer_published_is_used_as_a_public_one(self) -> None:
        issuer = Issuer()
        issuer.serve(RSA.as_dict(private=True) | {"kid": "a", "d": "junk"})
        assert issuer.knows("a", "RS256")

    def test_a_token_without_a_key_id_needs_the_only_key_for_its_algorithm(self) -> None:
        issuer = Issuer("a")
        assert issuer.knows(None)
        issuer = Issuer("a", "b")
        assert not issuer.knows(None)

    @pytest.mark.parametrize("nameless", [{}, {"kid": None}])
    def test_two_keys_without_an_id_are_two_keys(self, nameless: dict[str, Any]) -> None:
        issuer = Issuer()
        issuer.serve(SOUND | nameless)
        assert issuer.knows(None)
        issuer = Issuer()
        issuer.serve(SOUND | nameless, OKPKey.generate_key("Ed25519").as_dict(private=False) | nameless)
        assert not issuer.knows(None)

    def test_two_keys_may_share_an_id_if_their_algorithms_differ(self) -> None:
        issuer = Issuer()
        issuer.serve(*(key.as_dict(private=False) | {"kid": "a"} for key in (RSA, EC, OKP)))
        assert all(issuer.knows("a", alg) for alg in ["RS256", "ES256", "EdDSA"])


type Answer = Callable[[socket.socket], None]


class Server(ThreadingTCPServer):
    def __init__(self, answer: Answer, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), BaseRequestHandler)
        self.answer, self.context = answer, context

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as its base says
        with (
            suppress(OSError),
            self.context.wrap_socket(request, server_side=True) if self.context else request as link,
        ):
            self.answer(link)


@contextmanager
def server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A loopback server whose connections `answer` handles, as the address of a key set."""
    with Server(answer, context) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{listening.server_address[1]}/keys?version=1"
        finally:
            listening.shutdown()
            thread.join()


def answers(*parts: bytes, pause: float = 0.0) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)

    return answer


def silence(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass  # until the other side gives up


def assert_ends_at_the_deadline(url: str) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        fetch_keys(url)
    assert time.monotonic() - started < 2  # the deadline of these tests is 0.3 s, their drips last 6 s


OK = b"HTTP/1.1 200 OK\r\n"
BODY = b'{"keys": []}'


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() == before


class TestDownload:
    @pytest.mark.parametrize("headers", [b"\r\n", b"Content-Length: %d\r\n\r\n" % len(BODY)])
    def test_a_body_is_read_to_its_end(self, headers: bytes) -> None:
        with server(answers(OK, headers, BODY)) as url:
            assert fetch_keys(url) == BODY

    def test_the_request_names_path_query_and_host(self) -> None:
        heard: list[bytes] = []

        def answer(connection: socket.socket) -> None:
            heard.append(connection.recv(65_536, socket.MSG_PEEK))
            answers(OK, b"\r\n", BODY)(connection)

        with server(answer) as url:
            fetch_keys(url)
        host = url.split("/")[2].encode()
        assert heard[0].startswith(b"GET /keys?version=1 HTTP/1.1\r\nHost: %s\r\n" % host)

    def test_an_issuer_that_is_down_is_an_error(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            fetch_keys(f"http://127.0.0.1:{port}/")

    @pytest.mark.parametrize("status", [b"301", b"302", b"307", b"404", b"500", b"204"])
    def test_a_redirect_or_any_status_but_200_is_an_error(self, status: bytes) -> None:
        with server(answers(OK, b"\r\n", BODY)) as elsewhere:
            headers = b"Location: %s\r\n\r\n" % elsewhere.encode()
            with (
                server(answers(b"HTTP/1.1 " + status + b" x\r\n", headers, BODY)) as url,
                pytest.raises(ValueError, match="status"),
            ):
                fetch_keys(url)

    def test_what_is_not_http_is_an_error(self) -> None:
        with server(answers(b"SSH-2.0-OpenSSH_9.2\r\n")) as url, pytest.raises(Unavailable):
            KeySet(url, fetch_keys, time.time).find("a", "EdDSA")

    @pytest.mark.parametrize("headers", [b"\r\n", b"Content-Length: 300000000\r\n\r\n"])
    def test_a_stream_of_300_megabytes_is_cut_off(self, headers: bytes) -> None:
        sent: list[int] = []

        def flood(connection: socket.socket) -> None:
            answers(OK, headers)(connection)
            for _ in range(300):
                connection.sendall(bytes(1_000_000))
                sent.append(1_000_000)

        with server(flood) as url, pytest.raises(ValueError, match="too large"):
            fetch_keys(url)
        assert sum(sent) < 20_000_000  # what the sockets' buffers took

    def test_a_body_of_exactly_the_limit_is_read(self) -> None:
        with server(answers(OK, b"\r\n", bytes(MAX_BYTES))) as url:
            assert len(fetch_keys(url)) == MAX_BYTES

    def test_an_issuer_with_a_trusted_certificate_is_believed(self, trusted: ssl.SSLContext) -> None:
        with server(answers(OK, b"\r\n", BODY), trusted) as url:
            assert fetch_keys(url) == BODY

    def test_a_certificate_for_another_name_is_an_error(self, trusted: ssl.SSLContext) -> None:
        with server(answers(OK, b"\r\n", BODY), trusted) as url, pytest.raises(ssl.SSLCertVerificationError):
            fetch_keys(url.replace("127.0.0.1", "localhost"))

    def test_a_certificate_that_nobody_vouches_for_is_an_error(
        self, trusted: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        with server(answers(OK, b"\r\n", BODY), trusted) as url, pytest.raises(ssl.SSLCertVerificationError):
            fetch_keys(url)


class TestDeadline:
    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jwks, "DEADLINE_SECONDS", 0.3)

    @pytest.mark.parametrize(
        "parts",
        [
            [OK, b"\r\n", *([b" "] * 300)],
            [OK, b"Connection: close\r\n\r\n", *([b" "] * 300)],
            [OK, b"Transfer-Encoding: chunked\r\n\r\n", *([b"1\r\n \r\n"] * 300)],
            [OK, b"X-Slow: ", *([b"x"] * 300)],
            [b"H", *([b"T"] * 300)],
        ],
        ids=["body", "body, closing", "chunks", "headers", "status line"],
    )
    def test_a_slow_drip_ends_at_the_deadline(self, parts: list[bytes]) -> None:
        with server(answers(*parts, pause=0.02)) as url:
            assert_ends_at_the_deadline(url)

    def test_a_resolver_that_hangs_ends_at_the_deadline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def hang(*_: object) -> None:
            time.sleep(0.6)
            raise OSError

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        assert_ends_at_the_deadline("https://issuer.example/")

    def test_a_connection_that_is_made_after_the_deadline_sends_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        resolve = socket.getaddrinfo

        def slowly(*args: Any) -> Any:
            time.sleep(0.4)
            return resolve(*args)

        monkeypatch.setattr(socket, "getaddrinfo", slowly)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with pytest.raises(TimeoutError):
                fetch_keys(f"http://127.0.0.1:{listener.getsockname()[1]}/")
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(65_536) == b""

    def test_a_slow_drip_under_tls_ends_at_the_deadline(self, trusted: ssl.SSLContext) -> None:
        with server(answers(OK, b"\r\n", *([b" "] * 300), pause=0.02), trusted) as url:
            assert_ends_at_the_deadline(url)

    def test_silence_ends_at_the_deadline(self) -> None:
        with server(silence) as url:
            assert_ends_at_the_deadline(url)

    def test_a_handshake_that_never_comes_ends_at_the_deadline(self) -> None:
        with server(silence) as url:
            assert_ends_at_the_deadline(url.replace("http:", "https:"))


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS with a certificate for 127.0.0.1 that this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
    for extension in (
        x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()),
    ):
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    path = tmp_path / "certificate.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
