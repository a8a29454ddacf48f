"""A front before a broker that asks for what the brokers from PyPI do not: TLS, certificates of clients, and passwords.

It answers the requests of SASL itself (PLAIN and SCRAM-SHA-512, RFC 5802), and then passes all bytes. Answers of the broker
name the front's port in place of the broker's, so that every connection of a client goes through it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import ssl
import struct
import threading

from broker import Broker

API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
UNSUPPORTED_MECHANISM, UNSUPPORTED_VERSION, AUTHENTICATION_FAILED = 33, 35, 58
HOST = b"127.0.0.1"


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def data(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + value


async def frame(reader: asyncio.StreamReader) -> bytes:
    """A request or an answer without its size."""
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


class Login:
    """The exchange of one connection by a mechanism."""

    def __init__(self, mechanism: str, user: str, password: str, strict: bool) -> None:
        self.mechanism, self.user, self.password, self.strict = mechanism, user, password, strict
        self.first = b""

    def answer(self, token: bytes) -> tuple[bytes | None, bool]:
        """The answer to the client, None if it is refused; and whether it is in."""
        if self.mechanism == "PLAIN":
            _, user, password = token.decode().split("\0")
            return (b"", True) if (user, password) == (self.user, self.password) else (None, False)
        if not self.first:
            bare = token[3:]
            user, nonce = (part[2:] for part in bare.split(b",")[:2])
            self.nonce = nonce + base64.b64encode(os.urandom(18))
            self.salt = os.urandom(16)
            answer = b"r=" + self.nonce + b",s=" + base64.b64encode(self.salt) + b",i=4096"
            self.first = bare + b"," + answer
            return (answer, False) if user.decode() == self.user else (None, False)
        without_proof, proof = token.rsplit(b",p=", 1)
        salted = hashlib.pbkdf2_hmac("sha512", self.password.encode(), self.salt, 4096)
        message = self.first + b"," + without_proof
        stored = hashlib.sha512(hmac.digest(salted, b"Client Key", "sha512")).digest()
        signature = hmac.digest(stored, message, "sha512")
        key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        nonce = without_proof.split(b"r=", 1)[1]
        # Kafka 3.9 only looks at the end, since librdkafka before 2.6.1 sends its own nonce twice. Kafka 4 is strict.
        is_known = nonce == self.nonce if self.strict else nonce.endswith(self.nonce)
        if hashlib.sha512(key).digest() != stored or not is_known:
            return None, False
        server_key = hmac.digest(salted, b"Server Key", "sha512")
        return b"v=" + base64.b64encode(hmac.digest(server_key, message, "sha512")), True


class Front:
    """Listens on loopback until `stop`.

    `tls` is the context of a server, or None. With a password, clients must log in. `strict` checks the nonce of SCRAM
    as Kafka 4 does.
    """

    def __init__(
        self, broker: Broker, tls: ssl.SSLContext | None = None, user: str = "", password: str = ""
    ) -> None:
        self.broker_port = int(broker.address.rsplit(":", 1)[1])
        self.tls, self.user, self.password = tls, user, password
        self.strict = False
        # Connections that were let in.
        self.admitted = 0
        self.writers: set[asyncio.StreamWriter] = set()
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls))
        self.port = int(self.server.sockets[0].getsockname()[1])
        self.address = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def drop(self) -> None:
        """Ends all connections; clients come again."""

        def end() -> None:
            for writer in list(self.writers):
                writer.transport.abort()

        self.loop.call_soon_threadsafe(end)

    def stop(self) -> None:
        self.drop()
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.broker_port)
        self.writers |= {writer, inner_writer}
        try:
            if self.password and not await self.log_in(reader, writer, inner_reader, inner_writer):
                return
            self.admitted += 1
            own = HOST + struct.pack(">i", self.port)
            its = HOST + struct.pack(">i", self.broker_port)

            async def pass_answers() -> None:
                while True:
                    answer = await frame(inner_reader)
                    writer.write(data(answer.replace(its, own)))
                    await writer.drain()

            async def pass_requests() -> None:
                while taken := await reader.read(1 << 16):
                    inner_writer.write(taken)
                    await inner_writer.drain()

            await asyncio.wait(
                {asyncio.ensure_future(pass_answers()), asyncio.ensure_future(pass_requests())},
                return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for each in (writer, inner_writer):
                self.writers.discard(each)
                each.transport.abort()

    async def log_in(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inner_reader: asyncio.StreamReader,
        inner_writer: asyncio.StreamWriter,
    ) -> bool:
        """Answers requests until the client is in. False if it is not."""
        login: Login | None = None
        while True:
            request = await frame(reader)
            api, version, correlation, named = struct.unpack(">hhih", request[:10])
            body = request[10 + max(0, named) :]
            if api == API_VERSIONS:
                # Version 0 of the question and of the answer, whatever version was asked for.
                inner_writer.write(data(struct.pack(">hhih", API_VERSIONS, 0, 0, -1)))
                known = await frame(inner_reader)
                versions = [struct.unpack_from(">hhh", known, 10 + 6 * k) for k in range((len(known) - 10) // 6)]
                own = {API_VERSIONS: (0, 0), SASL_HANDSHAKE: (0, 1), SASL_AUTHENTICATE: (0, 1)}
                told = [each for each in versions if each[0] not in own] + [(key, *own[key]) for key in own]
                answer = struct.pack(">hi", UNSUPPORTED_VERSION if version > 0 else 0, len(told))
                answer += b"".join(struct.pack(">hhh", *each) for each in told)
            elif api == SASL_HANDSHAKE:
                mechanism = body[2:].decode()
                is_known = mechanism in ("PLAIN", "SCRAM-SHA-512")
                login = Login(mechanism, self.user, self.password, self.strict) if is_known else None
                answer = struct.pack(">hi", 0 if is_known else UNSUPPORTED_MECHANISM, 2)
                answer += text("PLAIN") + text("SCRAM-SHA-512")
            elif api == SASL_AUTHENTICATE and login is not None:
                token, is_in = login.answer(body[4:])
                if token is None:
                    answer = struct.pack(">h", AUTHENTICATION_FAILED) + text("Authentication failed") + data(b"")
                else:
                    answer = struct.pack(">hh", 0, -1) + data(token)
                answer += struct.pack(">q", 0) if version > 0 else b""
                writer.write(data(struct.pack(">i", correlation) + answer))
                await writer.drain()
                if is_in or token is None:
                    return is_in
                continue
            else:
                return False
            writer.write(data(struct.pack(">i", correlation) + answer))
            await writer.drain()
