"""Journals and snapshots that are damaged, of something else, or no files at all."""

import contextlib
import functools
import hashlib
import json
import os
import sqlite3
import uuid

import numpy as np
import torch
from damage import damaged
from safetensors import safe_open
from safetensors.torch import save_file
from values import odd, told

import invopt
from invopt import estimators, problems

_OPTIONS = {"rng": 0, "maxfev": 24, "progress": False}


@functools.cache
def _journal(folder):
    """Bytes of a journal of two runs: of values, and of residuals."""
    path = folder / "real.sqlite"
    invopt.minimize("quad", journal=path, **_OPTIONS)
    invopt.minimize(_residual(), journal=path, **_OPTIONS)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


def _residuals(x):
    return np.asarray(x) - 0.25


def _residual():
    return problems.Function(fun=_residuals, x0=[0.5, 1.0], residuals=True)


def journal_case(rng, folder):
    """A file that is read, gone on with, or both."""
    path = folder / f"{uuid.uuid4().hex}.sqlite"
    said = _place_journal(rng, path, folder)
    number = rng.choice([None, None, 1, 2, 99, odd(rng)])
    uses = {
        "runs": lambda: repr(invopt.Journal(path).runs),
        "evaluations": lambda: invopt.Journal(path).evaluations(number),
        "frame": lambda: invopt.Journal(path).frame(number),
        "values": lambda: invopt.minimize("quad", journal=path, **(_OPTIONS | {"maxfev": 40})),
        "residuals": lambda: invopt.minimize(_residual(), journal=path, **(_OPTIONS | {"maxfev": 40})),
        "trimmed": lambda: invopt.minimize("quad", journal=invopt.Journal(path, max_bytes=0), **_OPTIONS),
    }
    name = rng.choice(sorted(uses))
    return f"{said}: {name} of {told(number)}", lambda: _then_remove(uses[name], path)


def _then_remove(use, path):
    try:
        return use()
    finally:
        for file in path.parent.glob(f"{path.name}*"):
            with contextlib.suppress(OSError):
                file.rmdir() if file.is_dir() else file.unlink()


def _place_journal(rng, path, folder):
    data = _journal(folder)
    kind = rng.random()
    if kind < 0.5:
        changed, said = damaged(rng, data)
        path.write_bytes(changed)
        if rng.random() < 0.1:
            path.with_name(path.name + "-wal").write_bytes(damaged(rng, data)[0])
            said += ", with a log of junk"
        return said
    if kind < 0.8:
        path.write_bytes(data)
        return _rewritten(rng, path)
    said = rng.choice(["a folder", "a FIFO", "another database", "read-only", "a broken link", "a loop", "a device"])
    if said == "a folder":
        path.mkdir()
    elif said == "a FIFO":
        os.mkfifo(path)
    elif said == "another database":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.executescript("CREATE TABLE run (a); INSERT INTO run VALUES (1);")
    elif said == "read-only":
        path.write_bytes(data)
        path.chmod(0o400)
    else:
        path.symlink_to({"a broken link": "no/such/file", "a loop": path.name, "a device": "/dev/full"}[said])
    return said


def _rewritten(rng, path):
    """A sound database whose content is not what we write."""
    columns = {
        "run": "owner created parts rng choice_maxfev problem names environment replayable status x fun nfev clock",
        "evaluation": "serial number purpose kind x seed spp value coding data failure seconds clock worker checksum",
    }
    table = rng.choice(sorted(columns))
    column = rng.choice(columns[table].split())
    value = rng.choice(
        [None, "", "text", b"", b"\x00" * 7, b"\xff" * 16, -1, 2**62, 1e308, "[1", "{}", "null", "[[1]]"]
    )
    statements = [
        (f"UPDATE {table} SET {column} = ?", (value,)),
        (f"UPDATE OR IGNORE {table} SET {column} = ? WHERE rowid % 2", (value,)),
        (f"DELETE FROM {table}", ()),
        ("DELETE FROM evaluation WHERE serial % 3 = 1", ()),
        ("DELETE FROM subject", ()),
        (f"DROP TABLE {table}", ()),
        (f"ALTER TABLE {table} RENAME COLUMN {column} TO other", ()),
        (f"PRAGMA user_version = {rng.choice([0, 2, 99, -1])}", ()),
        (f"PRAGMA application_id = {rng.choice([0, 7])}", ()),
        ("INSERT INTO evaluation SELECT 77, serial, number, purpose, kind, x, seed, spp, value, coding, data, failure, "
         "seconds, clock, worker, checksum FROM evaluation WHERE run = 1", ()),
    ]  # fmt: skip
    statement, values = rng.choice(statements)
    with contextlib.closing(sqlite3.connect(path)) as connection, contextlib.suppress(sqlite3.Error), connection:
        connection.execute(statement, values)
    return f"{statement} {values}"


def _training(seed=0):
    torch.manual_seed(seed)
    model = torch.nn.Linear(2, 2, dtype=torch.float64)
    return problems.GreyBox(model, problems.Quadratic(), np.linspace(-1, 1, 8).reshape(4, 2), batch_size=2)


_PARTS = {
    "adam": ("finite-difference", "adam"),
    "lbfgs": ("finite-difference", "lbfgs"),
    "target": (estimators.NewtonTarget(estimator=estimators.FiniteDifference(), steps=2), "adam"),
    "shared": ("shared-samples", "newton-cg"),
}


@functools.cache
def _snapshot(folder, name):
    path = folder / f"real-{name}.snapshot"
    estimator, method = _PARTS[name]
    invopt.minimize(_training(), estimator, method, rng=0, maxiter=3, checkpoint=path, progress=False)
    return path.read_bytes()


def snapshot_case(rng, folder):
    """A snapshot that a training goes on from."""
    name = rng.choice(sorted(_PARTS))
    data = _snapshot(folder, name)
    path = folder / f"{uuid.uuid4().hex}.snapshot"
    if rng.random() < 0.5:
        changed, said = damaged(rng, data)
        path.write_bytes(changed)
    else:
        path.write_bytes(data)
        said = _edited(rng, path)
    used = rng.choice([name, name, name, *_PARTS])
    estimator, method = _PARTS[used]
    options = {"rng": 0, "maxiter": 4, "maxtime": 2.0, "checkpoint": path, "progress": False}
    return (
        f"{name} gone on with as {used}, {said}",
        lambda: _then_remove(lambda: invopt.minimize(_training(), estimator, method, **options), path),
    )


def _edited(rng, path):
    """A header changed somewhere, with the checksum that fits it."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["invopt"])
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no dictionary
    said = _change(rng, header)
    if rng.random() < 0.4:
        said += " and " + _change_tensor(rng, tensors)
    text = json.dumps(header)
    digest = hashlib.sha256(text.encode(errors="replace"))
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(torch.uint8 if tensor.dim() else tensor.dtype).numpy().tobytes())
    save_file(tensors, path, metadata={"invopt": text, "sha256": digest.hexdigest()})
    return said


def _change(rng, header):
    """Replace one value, anywhere in it, by another."""
    nodes = list(_nodes(header))
    holder, key = rng.choice(nodes)
    values = [None, True, -1, 0, 2**70, 1e308, "", "x", "t0", "t999", [], [[]], {}, {"kind": "tensor", "value": "t0"}]
    values += [
        {"kind": "tensor", "value": []},
        {"kind": "dict", "value": [[[], 1]]},
        {"kind": []},
        float("nan"),
        [1] * 4,
    ]
    values += [
        {"kind": "csr", "value": [1, 2, 3], "shape": [-1, "a"]},
        {"kind": "dict", "value": [[{"kind": "list", "value": []}, 1]]},
    ]
    value = rng.choice(values)
    if isinstance(holder, dict) and rng.random() < 0.2:
        del holder[key]
        return f"without {key!r}"
    holder[key] = value
    return f"{key!r} is {value!r}"


def _nodes(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _nodes(item)


def _change_tensor(rng, tensors):
    name = rng.choice(sorted(tensors))
    tensor = tensors[name]
    changed = {
        "longer": lambda: torch.cat([tensor.reshape(-1), tensor.reshape(-1)]),
        "empty": lambda: tensor.reshape(-1)[:0].clone(),
        "of another type": lambda: tensor.to(torch.float16),
        "of whole numbers": lambda: torch.ones(tensor.shape, dtype=torch.int64),
        "nan": lambda: torch.full(tensor.shape, float("nan"), dtype=torch.float64),
        "of another rank": lambda: tensor[None].clone(),
    }
    how = rng.choice(sorted(changed))
    tensors[name] = changed[how]()
    return f"tensor {name} {how}"
