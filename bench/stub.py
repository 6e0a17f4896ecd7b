"""AWS for benchmarks: a server on the loopback, in a process of its own, that answers from a `CannedTable`.

What a client costs is measured, so this must cost little: one thread for each connection, plain sockets, the bytes of
an answer made once.
"""

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from bench.canned import CannedTable, http_response
from tools.template import ROOT

HOST = "127.0.0.1"
TARGET = b"\r\nx-amz-target: dynamodb_20120810."
LENGTH = b"\r\ncontent-length: "
NOT_FOUND = http_response("", "404 Not Found")
ACCEPTED = http_response("", "202 Accepted")
UPLOAD = http_response("<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
UPLOADED = http_response("<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>")
PART = UPLOADED.replace(b"\r\n", b'\r\nETag: "1"\r\n', 1)


@contextmanager
def running(cpu: int) -> Iterator[str]:
    """Its address, while it runs on this processor."""
    command = [sys.executable, "-m", "bench.stub", "--cpu", str(cpu)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        try:
            assert process.stdout  # noqa: S101 - for the type checker
            yield f"http://{HOST}:{int(process.stdout.readline())}"
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpu", type=int, required=True)
    os.sched_setaffinity(0, {parser.parse_args().cpu})
    table = CannedTable()
    with socket.create_server((HOST, 0), backlog=128) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Thread(target=serve, args=(connection, table), daemon=True).start()


def serve(connection: socket.socket, table: CannedTable) -> None:
    """Answer one connection's requests, one after the other, until it is closed."""
    received = b""
    while chunk := connection.recv(1 << 16):
        received += chunk
        head, end, body = received.partition(b"\r\n\r\n")
        if end and len(body) >= length(head):
            connection.sendall(answer(head, body, table))
            received = b""


def length(head: bytes) -> int:
    _, found, rest = head.lower().partition(LENGTH)
    return int(rest.partition(b"\r\n")[0]) if found else 0


def answer(head: bytes, body: bytes, table: CannedTable) -> bytes:
    """DynamoDB knows its table, Lambda takes every invocation, S3 has no object and takes each."""
    at = head.lower().find(TARGET)
    if at >= 0:
        operation = head[at + len(TARGET) :].partition(b"\r\n")[0].decode()
        return table.answer(operation, body)
    method, path, *_ = head.split(b" ", 2)
    if b"/invocations" in path:
        return ACCEPTED
    if method in {b"PUT", b"DELETE"}:
        return PART
    if method == b"POST":
        return UPLOADED if b"uploadId" in path else UPLOAD
    return NOT_FOUND


if __name__ == "__main__":
    main()
