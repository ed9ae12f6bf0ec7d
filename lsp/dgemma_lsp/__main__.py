"""`python -m dgemma_lsp` and `dgemma-lsp`."""

import sys


def main() -> int | None:
    try:
        from dgemma_lsp.server import main as serve
    except ModuleNotFoundError as error:
        sys.exit(f"dgemma-lsp: {error.name} is not installed; pip install 'dgemma-constrain[lsp]'")
    return serve()


if __name__ == "__main__":
    sys.exit(main())
