"""The keys of a stream, as the client shows and forgets them."""

from __future__ import annotations

import time
from collections.abc import Callable

from conftest import Daemon

from evenkeel import Client


def test_keys_are_shown_and_forgotten(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(
        """
  keyed:
    source: { unix: { path: FOLDER/in.sock } }
    format: csv
    features: [a]
    normalize: { key: { columns: [site, unit] } }
    batch: { size: 10, max_delay: 1s }
    sink: { file: { path: FOLDER/out.csv } }
"""
    )
    rows = b"".join(b"%d,s%d,%d\n" % (index, index % 3, index % 2) for index in range(60))
    daemon.send(b"a,site,unit\n" + rows)
    stream = Client(daemon.control).streams["keyed"]
    end = time.monotonic() + 20
    while stream.status()["batches"] != 6:
        assert time.monotonic() < end, "the batches do not come"
        time.sleep(0.02)
    assert stream.keys()["count"] == 6
    assert len(stream.keys(top="fewest", limit=2)["keys"]) == 2
    shown = stream.keys(["s1", "0"])["keys"]
    assert [key["key"] for key in shown] == [["s1", "0"]]
    assert stream.reset_keys([["s1", "0"]]).in_effect
    assert stream.keys()["count"] == 5
