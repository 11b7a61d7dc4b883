"""Trained fields as files, which need neither the scene nor Mitsuba."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

import attrs
import cattrs
import numpy as np
import torch
from attrs import frozen
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from invopt.exceptions import CheckpointError
from invopt.plugin import as_vector

from .field import PLAIN, Field, split
from .query import Query

__all__ = ["SavedField"]

# Marks the files; saved with the version of the field's inputs.
_FORMAT = "invopt radiance field"
# Name of the fingerprint in a file; files of earlier versions have none.
_FINGERPRINT = "scene.fingerprint"


@frozen(kw_only=True, eq=False)
class SavedField:
    """Network, weights, box and scene of a trained radiance field, in a file.

    Parameters
    ----------
    field : Field
        The network.
    weights : Tensor, shape (n,)
        Weights of the network.
    low, extent : ndarray, shape (3,)
        Lowest corner and size of the box of all positions.
    scene : str, default ""
        Name of the scene and digest of its content.
    fingerprint : ndarray, shape (520, 7), optional
        What rays meet in the scene, by which the field refuses another one.
    """

    field: Field
    weights: Tensor = attrs.field(repr=False)
    low: NDArray[np.float64]
    extent: NDArray[np.float64]
    scene: str = ""
    fingerprint: NDArray[np.float32] | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, live: Any, x: ArrayLike) -> Self:
        """Return the field of an open problem at the weights `x`, without its guide."""
        problem = live.problem
        size = sum(int(np.prod(shape)) for shape in problem.field.shapes.values())
        weights = torch.as_tensor(as_vector("x", x, size=problem.n)[:size], dtype=torch.float32)
        low, extent = live.transport.box
        scene = problem.scene_label
        mark = live.fingerprint(low, extent)
        return cls(field=problem.field, weights=weights, low=low, extent=extent, scene=scene, fingerprint=mark)

    def radiance(self, p: ArrayLike, w: ArrayLike, n: ArrayLike, albedo: ArrayLike) -> NDArray[np.float32]:
        """Return reflected radiance, to which the emission of the surface must be added.

        Parameters
        ----------
        p : array_like, shape (k, 3)
            Points on surfaces, in scene units.
        w : array_like, shape (k, 3)
            Unit vectors towards the viewer.
        n : array_like, shape (k, 3)
            Unit shading normals.
        albedo : array_like, shape (k, 3)
            Diffuse reflectances.

        Returns
        -------
        ndarray of float32, shape (k, 3)

        Raises
        ------
        ValueError
            If a shape is wrong.
        """
        given = {"p": p, "w": w, "n": n, "albedo": albedo}
        arrays = {name: np.asarray(value, dtype=np.float64) for name, value in given.items()}
        count = len(arrays["p"])
        for name, array in arrays.items():
            if array.shape != (count, 3):
                raise ValueError(f"'{name}' must have shape ({count}, 3), as 'p' has: {array.shape}")
        arrays["p"] = np.clip((arrays["p"] - self.low) / self.extent, 0, 1)
        query = Query(*(torch.tensor(array.T, dtype=torch.float32) for array in arrays.values()))
        with torch.no_grad():
            found = self.field(split(self.weights, self.field.shapes), query, self.field.encoding.lookup)
        radiance: NDArray[np.float32] = found.numpy()
        return radiance

    def save(self, path: str | Path) -> None:
        """Write the field as a safetensors file, whole or not at all."""
        from safetensors.torch import save_file

        header = {
            "format": f"{_FORMAT} {Field.version}",
            "field": cattrs.unstructure(self.field),
            "low": self.low.tolist(),
            "extent": self.extent.tolist(),
            "scene": self.scene,
        }
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        parts = {name: part.contiguous().clone() for name, part in split(self.weights, self.field.shapes).items()}
        if self.fingerprint is not None:
            parts[_FINGERPRINT] = torch.from_numpy(self.fingerprint.copy())
        save_file(parts, temporary, metadata={"invopt": json.dumps(header, default=_number)})
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that `save` wrote.

        Raises
        ------
        CheckpointError
            If the file is damaged, of another kind or of another version.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                header = _header(path, (file.metadata() or {}).get("invopt", "{}"))
                # Files of earlier versions do not name what all their fields were.
                made = cattrs.Converter(forbid_extra_keys=True).structure(PLAIN | header["field"], Field)
                parts = {name: file.get_tensor(name) for name in made.shapes}
                mark = file.get_tensor(_FINGERPRINT).numpy() if _FINGERPRINT in file.keys() else None  # noqa: SIM118
            low, extent = (np.array(header[name], dtype=np.float64) for name in ("low", "extent"))
            scene = str(header["scene"])
        except CheckpointError:
            raise
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from None
        except (KeyError, TypeError, ValueError, cattrs.BaseValidationError) as error:
            raise CheckpointError(f"{str(path)!r} has a header that cannot be read: {error!r}") from error
        for name, shape in made.shapes.items():
            part = parts[name]
            if part.shape != shape:
                raise CheckpointError(
                    f"{str(path)!r} has {name!r} of shape {tuple(part.shape)}, and its field needs {shape}"
                )
            if part.dtype != torch.float32 or not part.isfinite().all():
                raise CheckpointError(f"{str(path)!r} has {name!r} with numbers that are not finite or not of 32 bits")
        if low.shape != (3,) or extent.shape != (3,) or not (np.isfinite(low).all() and (extent > 0).all()):
            raise CheckpointError(f"{str(path)!r} has no valid box: low {low}, extent {extent}")
        weights = torch.cat([part.reshape(-1) for part in parts.values()])
        return cls(field=made, weights=weights, low=low, extent=extent, scene=scene, fingerprint=mark)


def _header(path: str | Path, text: str) -> dict[str, Any]:
    header = json.loads(text)
    if not isinstance(header, dict):
        raise CheckpointError(f"{str(path)!r} is not a radiance field of invopt")
    _check_format(path, str(header.get("format", "")))
    return header


def _check_format(path: str | Path, found: str) -> None:
    name, _, version = found.rpartition(" ")
    if name != _FORMAT:
        raise CheckpointError(f"{str(path)!r} is not a radiance field of invopt")
    if version != str(Field.version):
        raise CheckpointError(
            f"{str(path)!r} is a radiance field of version {version}, but this is version {Field.version}, whose "
            f"network has other inputs: train it again, or load it with the invopt that saved it"
        )


def _number(value: Any) -> Any:
    """Return a number of NumPy as one of Python."""
    return value.item()
