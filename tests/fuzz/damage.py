"""Damage done to bytes."""

import random


def damaged(rng, data):
    """Bytes after one kind of damage, and what was done."""
    kinds = {
        "flipped": lambda: _flipped(rng, data, rng.choice([1, 1, 3, 50])),
        "cut": lambda: data[: rng.randrange(len(data))],
        "cut at the front": lambda: data[rng.randrange(1, len(data)) :],
        "a page of zeros": lambda: _patched(rng, data, bytes(min(4096, len(data)))),
        "a page of noise": lambda: _patched(rng, data, random.Random(rng.random()).randbytes(512)),
        "pages swapped": lambda: _swapped(rng, data),
        "more at the end": lambda: data + random.Random(rng.random()).randbytes(rng.choice([1, 5000])),
        "doubled": lambda: data + data,
        "empty": lambda: b"",
        "text": lambda: b"this is text\n" * 50,
        "noise": lambda: random.Random(rng.random()).randbytes(5000),
        "the head alone": lambda: data[:16],
        "noise after the head": lambda: data[:100] + random.Random(rng.random()).randbytes(5000),
        "numbers at their ends": lambda: _patched(rng, data, rng.choice([b"\xff", b"\x7f", b"\x80", b"\x00"]) * 8),
        "nothing": lambda: data,
    }
    name = rng.choice(sorted(kinds))
    return kinds[name](), name


def _flipped(rng, data, count):
    changed = bytearray(data)
    # Half of them near the head, where a byte means most.
    for _ in range(count):
        at = rng.randrange(len(data) if rng.random() < 0.5 else min(512, len(data)))
        changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _patched(rng, data, patch):
    at = rng.randrange(len(data))
    if rng.random() < 0.5 and len(patch) == 4096:
        at -= at % 4096
    return data[:at] + patch + data[at + len(patch) :]


def _swapped(rng, data):
    pages = [data[i : i + 4096] for i in range(0, len(data), 4096)]
    rng.shuffle(pages)
    return b"".join(pages)
