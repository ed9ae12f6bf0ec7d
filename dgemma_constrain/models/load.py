"""`dc.load`: a model by name."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from dgemma_constrain.diffusion.model import Model


@lru_cache(maxsize=1)
def _embedded() -> Model:
    from dgemma_constrain.models.embedded import load_embedded

    return Model(load_embedded())


@lru_cache(maxsize=1)
def _embedded_diffusion_gemma() -> Model:
    from dgemma_constrain.models.embedded.diffusion_gemma import load_diffusion_gemma

    return Model(load_diffusion_gemma())


def load(name: str = "embedded", **options: Any) -> Model:
    """The model of that name.

    "embedded" is the one that ships with the package: no download, any CPU; "embedded:diffusion-gemma" a tiny checkpoint of
    the real DiffusionGemma class, which needs transformers. Anything else is a hub id, or a folder, of a
    masked language model (LLaDA, Dream, ModernBERT, …) or of a DiffusionGemma; `models.hub.load_hub` says what `options`
    there are, first of all `trust_remote_code`. A network of your own: `dc.Model(dc.MaskedModel(network, vocabulary))`.
    Raises ConstraintError for what cannot be loaded or is neither.
    """
    if name in SHIPPED and not options.keys() - {"trust_remote_code"}:  # there is none
        return SHIPPED[name]()
    from dgemma_constrain.models.hub import load_hub

    return load_hub(name, **options)


SHIPPED = {"embedded": _embedded, "embedded:diffusion-gemma": _embedded_diffusion_gemma}
