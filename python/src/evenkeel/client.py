"""`Client`: the control plane of a running daemon (docs/HTTP.md)."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy.typing as npt

from evenkeel import bodies
from evenkeel.answers import Change, Features, Json, Readiness, Sample, samples_of
from evenkeel.errors import ApiError, refusal
from evenkeel.taps import Tap
from evenkeel.unix_connection import UnixConnection

__all__ = ["Change", "Client", "Features", "Readiness", "Sample", "StreamHandle"]


class Client:
    """The HTTP API of a daemon; one request a connection, so that threads may share a client.

    - address: what `control.listen` says, "127.0.0.1:9600" or "unix:/run/evenkeel/control.sock"; an
      address that begins with http:// is taken too.
    - token: the word in `control.token_file`, which changes over TCP need. token_file: the file itself.
    - timeout: the longest that an answer may take, in seconds. A change may take 10 s by itself.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:9600",
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        timeout: float = 20.0,
    ) -> None:
        if token_file is not None:
            if token is not None:
                raise ValueError("expected a token or a token_file, found both")
            with open(token_file, encoding="ascii") as source:
                token = source.read().strip()
        self.address = address
        self.timeout = timeout
        self._token = token
        self._path: str | None = None
        self._host, self._port = "", 0
        if address.startswith("unix:"):
            self._path = address.removeprefix("unix:")
        else:
            parts = urllib.parse.urlsplit(address if "//" in address else "//" + address)
            if parts.scheme not in ("", "http") or not parts.hostname or parts.path not in ("", "/"):
                raise ValueError(f"expected host:port, http://host:port or unix:PATH, found {address!r}")
            self._host, self._port = parts.hostname, parts.port or 9600

    # The daemon

    def health(self) -> bool:
        """Whether the process answers."""
        try:
            return self._request("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def readiness(self) -> Readiness:
        """Whether all streams run, and the reasons if one does not."""
        status, body = self._request("GET", "/readyz", accepted=(200, 503))
        answer = json.loads(body)
        return Readiness(status == 200, tuple(answer.get("reasons", ())))

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Returns once the daemon is ready.

        Raises TimeoutError with the reasons if it is not within `timeout` seconds.
        """
        end = time.monotonic() + timeout
        pause = 0.02
        while True:
            reasons: str
            try:
                readiness = self.readiness()
                if readiness:
                    return
                reasons = "; ".join(readiness.reasons)
            except (OSError, http.client.HTTPException) as error:
                # It is not there yet.
                reasons = str(error)
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self.address} is not ready after {timeout:g} s: {reasons}")
            time.sleep(min(pause, left))
            pause = min(2 * pause, 0.5)

    @property
    def version(self) -> str:
        """The version of the daemon."""
        return str(self.daemon()["version"])

    def daemon(self) -> Json:
        """The members that docs/HTTP.md lists under "The daemon": reloads, the last one's error, warnings."""
        return self._get("/api/v1/daemon")

    @property
    def streams(self) -> Streams:
        """The streams by name."""
        return Streams(self)

    def metrics_text(self) -> str:
        """The metrics in Prometheus' text format."""
        return self._request("GET", "/metrics")[1].decode("utf-8")

    def metrics(self) -> list[Sample]:
        """The metrics, one element a sample."""
        return list(samples_of(self.metrics_text()))

    # Requests

    def _get(self, path: str, headers: Mapping[str, str] | None = None) -> Json:
        answer: Json = json.loads(self._request("GET", path, headers=headers)[1])
        return answer

    def _change(self, method: str, path: str, body: Json | bytes | None = None) -> Change:
        answer = json.loads(self._request(method, path, body=body, accepted=(200, 202))[1])
        return Change(answer["stream"], answer["change"], answer["in_effect"], answer)

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: Json | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        accepted: Sequence[int] = (200,),
    ) -> tuple[int, bytes]:
        connection, response, _ = self._open(
            method, path, body=body, headers=headers, accepted=accepted
        )
        try:
            return response.status, response.read()
        finally:
            connection.close()

    def _open(
        self,
        method: str,
        path: str,
        *,
        body: Json | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        accepted: Sequence[int] = (200,),
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse, socket.socket]:
        """Sends a request and reads the head of the answer. Raises ApiError for another status."""
        connection = (
            UnixConnection(self._path, self.timeout)
            if self._path is not None
            else http.client.HTTPConnection(self._host, self._port, timeout=self.timeout)
        )
        sent = {"Connection": "close", **(headers or {})}
        if self._token is not None:
            sent["Authorization"] = f"Bearer {self._token}"
        data = None
        if isinstance(body, bytes):
            data, sent["Content-Type"] = body, "application/octet-stream"
        elif body is not None:
            data = json.dumps(body, allow_nan=False).encode("utf-8")
            sent["Content-Type"] = "application/json"
        elif method != "GET":
            sent["Content-Length"] = "0"
        try:
            connection.request(method, path, body=data, headers=sent)
            # The connection forgets its socket if the answer ends with it.
            connected: socket.socket = connection.sock
            response = connection.getresponse()
            if response.status not in accepted:
                raise refusal(response.status, response.read(), response.reason)
        except BaseException:
            connection.close()
            raise
        return connection, response, connected


class Streams(Mapping[str, "StreamHandle"]):
    """The streams of a daemon by name; each look asks the daemon."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _views(self) -> list[Json]:
        views: list[Json] = self._client._get("/api/v1/streams")["streams"]
        return views

    def __getitem__(self, name: str) -> StreamHandle:
        return StreamHandle(self._client, name)

    def __iter__(self) -> Iterator[str]:
        return iter([view["name"] for view in self._views()])

    def __len__(self) -> int:
        return len(self._views())

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def statuses(self) -> dict[str, Json]:
        """The status of every stream by its name, in one request."""
        return {view["name"]: view for view in self._views()}


class StreamHandle:
    """One stream of a daemon. Changes take effect between two batches."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name
        self._path = "/api/v1/streams/" + urllib.parse.quote(name, safe="")

    def status(self) -> Json:
        """The members that docs/HTTP.md lists under "A stream"."""
        return self._client._get(self._path)

    def features(self) -> Features:
        """Asks for the statistics of each feature: mean, weight, missing values, ….

        Raises ApiError with status 409 if the stream has none yet.
        """
        return Features(self._client._get(self._path + "/features")["features"])

    def drift(self) -> list[Json]:
        """The drift charts of the features, with the members that docs/HTTP.md lists under "Drift and events".

        Empty if the stream does not watch for drift.
        """
        charts: list[Json] = self._client._get(self._path + "/drift")["charts"]
        return charts

    def events(self, *, after: int = 0) -> list[Json]:
        """The last events that the processing found, oldest first, such as drift.

        - after: the `id` of the last event that is known already.
        """
        headers = {"Last-Event-ID": str(after)}
        events: list[Json] = self._client._get(self._path + "/events", headers)["events"]
        return events

    def keys(
        self, key: str | Sequence[str] | None = None, *, top: str = "oldest", limit: int = 20
    ) -> Json:
        """Asks for one key or class with its moments, or for those that come first in an order (docs/HTTP.md, "Keys")."""
        one = [key] if isinstance(key, str) else key
        query = [("key", part) for part in one] if one else [("top", top), ("limit", str(limit))]
        answer: Json = self._client._get(f"{self._path}/keys?{urllib.parse.urlencode(query)}")
        return answer

    def reset_keys(self, keys: Sequence[str | Sequence[str]]) -> Change:
        """Forgets some keys. One of several columns is a list of texts."""
        body: Json = {"keys": [key if isinstance(key, str) else list(key) for key in keys]}
        return self._client._change("POST", self._path + "/reset_keys", body)

    def freeze(self) -> Change:
        """Lets the running moments stand still from the next batch on."""
        return self._post("freeze")

    def thaw(self) -> Change:
        """Lets the running moments move again."""
        return self._post("thaw")

    def reset(self) -> Change:
        """Sets the running moments to their initial values. γ and β stay."""
        return self._post("reset")

    def rollback(
        self, generation: int, part: Literal["moments", "parameters"] = "moments"
    ) -> Change:
        """Restores the running moments, or γ and β, of a checkpoint that the stream keeps.

        - generation: the number in the checkpoint's name.

        Raises ApiError with status 409 if the stream does not keep it.
        """
        body: Json = {"generation": int(generation), "part": part}
        return self._client._change("POST", self._path + "/rollback", body)

    def accept_drift(self) -> Change:
        """Takes the present level of features that drift as their reference."""
        return self._post("drift/accept")

    def checkpoint(self) -> Change:
        """Has a checkpoint written now."""
        return self._post("checkpoint")

    def mode(self, mode: Literal["batch", "running", "renorm"]) -> Change:
        """Normalises in another mode."""
        return self._client._change("PUT", self._path + "/mode", {"mode": mode})

    def parameters(
        self,
        weight: npt.ArrayLike,
        bias: npt.ArrayLike,
        features: Sequence[str] | None = None,
        *,
        if_version: int | None = None,
    ) -> Change:
        """Takes another γ and β, in the order of the features, or by name with `features`.

        Raises ApiError with status 409 if they have another version than `if_version` by now.
        """
        query, body = bodies.parameters(weight, bias, features, if_version)
        return self._client._change("PUT", f"{self._path}/parameters{query}", body)

    def freeze_parameters(self) -> Change:
        """Stops learning γ and β: gradients are refused, and `parameters` and `rollback` work."""
        return self._post("parameters/freeze")

    def thaw_parameters(self) -> Change:
        """Allows learning γ and β again."""
        return self._post("parameters/thaw")

    def gradients(
        self,
        version: int,
        weight: npt.ArrayLike,
        bias: npt.ArrayLike,
        features: Sequence[str] | None = None,
        *,
        count: int | None = None,
    ) -> Change:
        """Moves γ and β by one step against ∂L/∂γ and ∂L/∂β, for a stream with `parameters.learn`.

        - version: the `parameters_version` of the γ and β that the gradients were computed for.
        - weight, bias: what PyTorch has in `weight.grad` and `bias.grad`, in the order of the features, or
          by name with `features`.
        - count: the number of examples that they come from.

        Raises ApiError with status 409 and the version in force if γ and β have changed too often since
        `version`; nothing has changed then. A step that is sent again is made again.
        """
        sums: Json = {"weight_grad": bodies.numbers(weight), "bias_grad": bodies.numbers(bias)}
        return self._step(version, sums, features, count)

    def gradient_rows(
        self,
        version: int,
        y: npt.ArrayLike,
        y_grad: npt.ArrayLike,
        features: Sequence[str] | None = None,
        *,
        count: int | None = None,
    ) -> Change:
        """Moves γ and β by one step against the gradients that ∂L/∂y gives, for a stream with `parameters.learn`.

        - version: the `parameters_version` of the γ and β that made y.
        - y: values of the stream's output, of shape [records, features]; NaN is a missing one.
        - y_grad: what PyTorch has in `y.grad`, of the same shape; of a missing y it does not count.

        Other arguments, errors and repetition are those of `gradients`.
        """
        return self._step(version, bodies.rows(y, y_grad), features, count)

    def tap(
        self, *, limit: int | None = None, rate: float = 10.0, timeout: float | None = None
    ) -> Tap:
        """Shows records of the running stream, as they were read and as they are written.

        - limit: the number of samples after which the iteration ends; None is no end.
        - rate: the most records in a second, 0.01 to 100.
        - timeout: the longest silence, in seconds, after which TimeoutError is raised; None is for ever.

        Each sample is a mapping with the members that docs/HTTP.md lists under "Tap". Over TCP it needs
        the token. Close it, or use it in a `with` statement.
        """
        query = f"?rate={rate:g}" + (f"&limit={limit}" if limit is not None else "")
        return Tap(*self._client._open("GET", self._path + "/tap" + query), timeout)

    def _step(
        self, version: int, numbers: Json, features: Sequence[str] | None, count: int | None
    ) -> Change:
        body: Json = {"version": int(version)} | numbers
        body |= {} if features is None else {"features": list(features)}
        body |= {} if count is None else {"count": int(count)}
        return self._client._change("POST", self._path + "/gradients", body)

    def _post(self, action: str) -> Change:
        return self._client._change("POST", f"{self._path}/{action}")

    def __repr__(self) -> str:
        return f"<stream {self.name!r} of {self._client.address}>"
