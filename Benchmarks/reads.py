"""Measures how fast read(2) copies from the page cache into memory that is aligned so and so."""

import mmap
import os
import tempfile
import time

READ_BYTES = 128 << 10
FILE_BYTES = 64 << 20
ROUNDS = 7


def seconds(descriptor, room):
    """The time to read the whole file, read by read, to the same place."""
    start = time.perf_counter()
    for offset in range(0, FILE_BYTES, READ_BYTES):
        assert os.preadv(descriptor, [room], offset) == READ_BYTES
    return time.perf_counter() - start


def main():
    # Starts on a page.
    memory = memoryview(mmap.mmap(-1, READ_BYTES + mmap.PAGESIZE))
    fastest = {}
    with tempfile.TemporaryFile() as file:
        file.write(bytes(FILE_BYTES))
        file.flush()
        for _ in range(ROUNDS):
            for place in [0, 16, 32, 64]:
                took = seconds(file.fileno(), memory[place : place + READ_BYTES])
                fastest[place] = min(took, fastest.get(place, took))
    print("| bytes behind a page's start | GB/s |\n|---|--:|")
    for place, took in fastest.items():
        print(f"| {place} | {FILE_BYTES / took / 1e9:.1f} |")


if __name__ == "__main__":
    main()
