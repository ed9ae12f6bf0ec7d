"""Where this package keeps what is costly to make again."""

import os
from pathlib import Path


def folder() -> Path:
    """$DGEMMA_CACHE, or the user's cache folder; it may not exist yet."""
    if "DGEMMA_CACHE" in os.environ:
        return Path(os.environ["DGEMMA_CACHE"])
    from platformdirs import user_cache_path

    return user_cache_path("dgemma_constrain")
