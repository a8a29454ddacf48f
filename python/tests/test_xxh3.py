"""The hash, against digests that the package xxhash 4.1.0 computed."""

from __future__ import annotations

import pytest

from evenkeel.xxh3 import xxh3_64


def pattern(count: int) -> bytes:
    return bytes(index * 131 + (index >> 8) * 7 & 0xFF for index in range(count))


@pytest.mark.parametrize(
    ("count", "digest"),
    [
        (241, 0x44DBD3180A664E27),
        (256, 0x266A2C816CBB31C5),
        (1024, 0xD1ABB5DBD52032F9),
        (1025, 0xA3908B116DDF0191),
        (1088, 0x73A4A4F20D1ADA67),
        (2049, 0xE09D2FE2EDF7E1D5),
        (5000, 0x4DF419AB59E5A7AD),
        (100000, 0x3A0109E04C9FF5BA),
    ],
)
def test_the_hash_is_that_of_the_library(count: int, digest: int) -> None:
    assert xxh3_64(pattern(count)) == digest


def test_an_input_that_is_hashed_otherwise_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 241 bytes"):
        xxh3_64(b"x" * 240)
