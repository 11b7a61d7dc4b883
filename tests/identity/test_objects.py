"""Attributes and classes of arrays, tensors and objects are part of the identity."""

import datetime
import enum
import threading
from types import MappingProxyType

import numpy as np
import pytest
import torch

from invopt.core.identity import digest


class Quantity(np.ndarray):
    def __call__(self, x):
        return float(((x - np.asarray(self)) ** 2).sum())


class OtherQuantity(np.ndarray):
    def __call__(self, x):
        return float(((x - 2 * np.asarray(self)) ** 2).sum())


class SlottedArray(np.ndarray):
    __slots__ = ("unit",)


class Tensor(torch.Tensor):
    def scaled(self):
        return 2 * self


class OtherTensor(torch.Tensor):
    def scaled(self):
        return 3 * self


class Masked(np.ma.MaskedArray):
    pass


class Real(np.float64):
    pass


class Whole(int):
    pass


class Words(dict):
    pass


class Day(datetime.date):
    """Its pickled form has no attributes of its own."""


class Forgetful:
    def __init__(self, unit):
        self.unit, self.lock = unit, threading.Lock()

    def __getstate__(self):
        return {}


class Lying(Forgetful):
    def __reduce__(self):
        return Lying, (0,)


class Level(enum.Enum):
    A = 1


def with_unit(make):
    """Two objects that differ in one attribute."""

    def pair(unit):
        made = make()
        made.unit = unit
        return made

    return pair


def level(unit):
    kind = enum.Enum("Level", {"A": 1})
    kind.A.unit = unit
    return kind.A


UNITS = {
    "array": with_unit(lambda: np.zeros(2).view(Quantity)),
    "array of objects": with_unit(lambda: np.array([1, None], dtype=object).view(Quantity)),
    "array with slots": with_unit(lambda: np.zeros(2).view(SlottedArray)),
    "masked array": with_unit(lambda: Masked([1.0, 2.0], mask=[0, 1])),
    "tensor": with_unit(lambda: torch.zeros(2)),
    "parameter": with_unit(lambda: torch.nn.Parameter(torch.zeros(2))),
    "tensor of a class": with_unit(lambda: torch.zeros(2).as_subclass(Tensor)),
    "scalar": with_unit(lambda: Real(1.0)),
    "integer": with_unit(lambda: Whole(3)),
    "dictionary": with_unit(Words),
    "date": with_unit(lambda: Day(2020, 1, 1)),
    "what a state leaves out": Forgetful,
    "what a reduction leaves out": Lying,
    "element of an enum": level,
    "filling of a masked array": lambda unit: np.ma.array([1.0], mask=[1], fill_value=unit),
}


@pytest.mark.parametrize("make", UNITS.values(), ids=UNITS)
def test_attributes_count(make):
    assert digest(make(1)) == digest(make(1))
    assert digest(make(1)) != digest(make(2))


def test_a_method_of_an_array_reads_its_attributes():
    arrays = [np.zeros(2).view(Quantity) for _ in range(2)]
    for array, unit in zip(arrays, "ab", strict=True):
        array.unit = unit
    assert digest(arrays[0].__call__) != digest(arrays[1].__call__)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros(2).view(Quantity), np.zeros(2).view(OtherQuantity)),
        (np.zeros(2).view(Quantity), np.zeros(2)),
        (torch.zeros(2).as_subclass(Tensor), torch.zeros(2).as_subclass(OtherTensor)),
        (torch.zeros(2).as_subclass(Tensor), torch.zeros(2)),
        (np.zeros(2).view(Quantity), np.ones(2).view(Quantity)),
        (torch.zeros(2).as_subclass(Tensor), torch.ones(2).as_subclass(Tensor)),
        (np.ma.array([1.0, 2.0]), np.ma.array([1.0, 3.0])),
        (Real(1.0), Real(2.0)),
        (torch.tensor([1 + 1j]), torch.tensor([1 + 1j]).conj()),
        (MappingProxyType({"a": 1}), MappingProxyType({"a": 2})),
    ],
)
def test_classes_and_elements_count(first, second):
    assert digest(first) != digest(second)


def test_memory_maps_are_their_elements(tmp_path):
    found = []
    for name in "ab":
        np.save(tmp_path / name, np.arange(3.0))
        found.append(digest(np.load(tmp_path / f"{name}.npy", mmap_mode="r")))
    assert found[0] == found[1]
