# SPDX-License-Identifier: Apache-2.0
"""What did a client really send, and what did it get? A tee for bytes between a client and a server.

The bytes pass unchanged, so the server answers the client and not the harness; they are only read afterwards.
"""

import base64
import json
import socket
import threading
import time
import zlib
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Call:
    """One HTTP request and its answer."""

    at: float
    method: str
    path: str
    headers: dict
    body: bytes
    status: int
    answer_headers: dict
    answer_body: bytes

    @property
    def form(self):
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def answer(self):
        return json.loads(self.answer_body)

    @property
    def scheme(self):
        """`basic`, `bearer` or nothing: how the Authorization header speaks."""
        return self.headers.get("authorization", "").partition(" ")[0].lower()

    @property
    def credentials(self):
        return self.headers.get("authorization", "").partition(" ")[2]

    @property
    def grant(self):
        return self.form.get("grant_type", "").rpartition(":")[2]

    def subject_had_expired(self):
        return claims(self.form["subject_token"])["exp"] <= self.at

    def __str__(self):
        what = f" {self.grant}, {self.scheme or 'no'} Authorization" if self.method == "POST" else ""
        return f"{self.method} {self.path}{what} -> {self.status}"


def claims(token):
    """The payload of a JWT, not verified."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


class Tee:
    """Listens on a free port, passes everything to `target`, remembers all of it."""

    def __init__(self, target):
        self._target = (urlsplit(target).hostname, urlsplit(target).port)
        self._connections = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def calls(self):
        """Every finished request of every connection, in the order in which they were sent."""
        found = [call for connection in list(self._connections) for call in connection.calls()]
        return sorted(found, key=lambda call: call.at)

    def quiet_for(self):
        """Seconds since the last byte passed, in either direction."""
        return time.time() - max((connection.last for connection in list(self._connections)), default=0.0)

    def ports(self):
        """The ports from which the server was called, as it sees them."""
        return {connection.port for connection in list(self._connections)}

    def close(self):
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            self._connections.append(_Connection(near, far))


class _Connection:
    def __init__(self, near, far):
        self._sockets = (near, far)
        self._sent, self._received = bytearray(), bytearray()
        self._arrivals = []  # (offset in self._sent, time)
        self.last = time.time()  # when a byte passed
        self.port = far.getsockname()[1]
        threading.Thread(target=self._pass, args=(near, far, self._sent, self._arrivals), daemon=True).start()
        threading.Thread(target=self._pass, args=(far, near, self._received, []), daemon=True).start()

    def close(self):
        for end in self._sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def _pass(self, source, sink, record, arrivals):
        try:
            while chunk := source.recv(65536):
                self.last = time.time()
                arrivals.append((len(record), self.last))
                record += chunk
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def calls(self):
        sent, received = bytes(self._sent), bytes(self._received)
        begin, answered = 0, 0
        while request := _read_message(sent, begin):
            line, headers, body, end = request
            method, path = line.split(" ")[:2]
            answer = _read_answer(received, answered, method)
            if answer is None:
                return
            status_line, answer_headers, answer_body, answered = answer
            status = int(status_line.split(" ")[1])
            yield Call(self._arrival(begin), method, path, headers, body, status, answer_headers, answer_body)
            begin = end

    def _arrival(self, offset):
        return [at for start, at in self._arrivals if start <= offset][-1]


def _read_answer(data, begin, method):
    """The next final answer: `100 Continue` and the like are stepped over."""
    while answer := _read_message(data, begin, headers_only=method == "HEAD"):
        if not answer[0].split(" ")[1].startswith("1"):
            return answer
        begin = answer[3]
    return None


def _read_message(data, begin, headers_only=False):
    """(first line, headers, body, where the next message begins), or None if it is not complete."""
    blank = data.find(b"\r\n\r\n", begin)
    if blank < 0:
        return None
    line, *fields = data[begin:blank].decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    begin = blank + 4
    if headers_only:
        return line, headers, b"", begin
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body, begin = _read_chunks(data, begin)
        if body is None:
            return None
    else:
        length = int(headers.get("content-length", 0))
        body, begin = data[begin : begin + length], begin + length
        if len(body) < length:
            return None
    if headers.get("content-encoding") == "gzip":
        body = zlib.decompress(body, wbits=31)
    return line, headers, body, begin


def _read_chunks(data, begin):
    body = b""
    while (line_end := data.find(b"\r\n", begin)) >= 0:
        size = int(data[begin:line_end].split(b";")[0], 16)
        body += data[line_end + 2 : line_end + 2 + size]
        begin = line_end + 2 + size + 2
        if size == 0:
            return body, begin
    return None, begin
