"""XXH3 with 64 bits and seed 0, for inputs of more than 240 bytes, which every checkpoint is.

Follows the specification of xxHash 0.8 (section "XXH3 Algorithm Overview", large inputs).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["SHORTEST", "xxh3_64"]

# Inputs below this length are hashed in another way.
SHORTEST = 241

_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
_MASK = (1 << 64) - 1
_PRIME32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
_PRIME64 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
_STRIPE = 64
_STRIPES_PER_BLOCK = (len(_SECRET) - _STRIPE) // 8
_BLOCK = _STRIPE * _STRIPES_PER_BLOCK

_Words = npt.NDArray[np.uint64]
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def _words(data: bytes | memoryview) -> _Words:
    return np.frombuffer(data, dtype="<u8").astype(np.uint64)


# The secret as each stripe of a block sees it: 8 bytes further each time.
_KEYS = np.stack(
    [_words(_SECRET[8 * n : 8 * n + _STRIPE]) for n in range(_STRIPES_PER_BLOCK)]
)
_SCRAMBLE_KEY = _words(_SECRET[-_STRIPE:])
_LAST_KEY = _words(_SECRET[-_STRIPE - 7 : -7])
_NEIGHBOUR = np.array([1, 0, 3, 2, 5, 4, 7, 6])


def _sum_of_stripes(stripes: _Words, keys: _Words) -> _Words:
    """Returns the sum that these stripes of eight words add to the accumulators."""
    mixed = stripes ^ keys
    products = (mixed & _LOW) * (mixed >> _32)
    added: _Words = products.sum(axis=0, dtype=np.uint64)
    added += stripes.sum(axis=0, dtype=np.uint64)[_NEIGHBOUR]
    return added


def xxh3_64(data: bytes) -> int:
    """The hash of `data`, which has at least `SHORTEST` bytes."""
    if len(data) < SHORTEST:
        raise ValueError(f"expected at least {SHORTEST} bytes, found {len(data)}")
    view = memoryview(data)
    accumulators = np.array(
        [
            _PRIME32[2],
            _PRIME64[0],
            _PRIME64[1],
            _PRIME64[2],
            _PRIME64[3],
            _PRIME32[1],
            _PRIME64[4],
            _PRIME32[0],
        ],
        dtype=np.uint64,
    )
    # Sums of whole words wrap around, as the algorithm has it.
    with np.errstate(over="ignore"):
        blocks = (len(data) - 1) // _BLOCK
        for block in range(blocks):
            stripes = _words(view[block * _BLOCK : (block + 1) * _BLOCK]).reshape(-1, 8)
            accumulators += _sum_of_stripes(stripes, _KEYS)
            accumulators ^= accumulators >> np.uint64(47)
            accumulators ^= _SCRAMBLE_KEY
            accumulators *= np.uint64(_PRIME32[0])
        rest = (len(data) - 1 - blocks * _BLOCK) // _STRIPE
        if rest > 0:
            start = blocks * _BLOCK
            stripes = _words(view[start : start + rest * _STRIPE]).reshape(-1, 8)
            accumulators += _sum_of_stripes(stripes, _KEYS[:rest])
        last = _words(view[-_STRIPE:]).reshape(1, 8)
        accumulators += _sum_of_stripes(last, _LAST_KEY.reshape(1, 8))
    key = _words(_SECRET[11 : 11 + _STRIPE])
    result = len(data) * _PRIME64[0]
    for pair in range(4):
        first = int(accumulators[2 * pair]) ^ int(key[2 * pair])
        second = int(accumulators[2 * pair + 1]) ^ int(key[2 * pair + 1])
        product = first * second
        result += (product & _MASK) ^ (product >> 64)
    return _avalanche(result & _MASK)


def _avalanche(word: int) -> int:
    word ^= word >> 37
    word = word * 0x165667919E3779F9 & _MASK
    return word ^ word >> 32
