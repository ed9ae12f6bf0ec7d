"""`dc.load`: a model by name."""

from __future__ import annotations

from functools import lru_cache

from dgemma_constrain.diffusion.model import Model
from dgemma_constrain.errors import ConstraintError


@lru_cache(maxsize=1)
def _embedded() -> Model:
    from dgemma_constrain.models.embedded import load_embedded

    return Model(load_embedded())


def load(name: str = "embedded") -> Model:
    """The model of that name. "embedded" is the one that ships with the package: no download, any CPU.

    Raises ConstraintError for any other: models of a hub come with a later version; to use your own now, wrap it as a
    `diffusion.denoiser.Denoiser` and pass it to `diffusion.model.Model`.
    """
    if name != "embedded":
        raise ConstraintError(
            f'no model {name!r}: this version loads "embedded" only; wrap others as a Denoiser (see diffusion/denoiser.py)'
        )
    return _embedded()
