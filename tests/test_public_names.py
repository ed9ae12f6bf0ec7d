"""The public names, and the shape of the package: which folder may import which, and what importing costs."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import dgemma_constrain as dc

ROOT = Path(dc.__file__).parent
NAMES = """
    literal choice text regex json_schema template contains starts_with ends_with substring Constraint Mismatch Limits
    Vocabulary compile load_compiled Compiled Canvas Completion Model Output load
    ConstraintError RegexError SchemaError UnsupportedSchema TemplateError LimitExceeded EmptyConstraint
    VocabularyError LogitsError Infeasible CacheError
""".split()
MEMBERS = {
    "Constraint": "__and__ __or__ __invert__ __add__ repeat matches explain fields value",
    "Vocabulary": "from_tokenizer __len__ decode encode",
    "Compiled": "canvas save",
    "Canvas": "feasible allowed best sample marginals pin",
    "Completion": "ids score",
    "Model": "vocabulary generate infill",
}
PARAMETERS = {
    "literal": "text",
    "choice": "options",
    "text": "",
    "regex": "pattern flavor",
    "json_schema": "schema whitespace max_depth values_from",
    "template": "source holes",
    "substring": "source unit",
    "compile": "constraint vocabulary",
    "load_compiled": "path vocabulary",
    "Vocabulary": "tokens eos_id pad_id mask_id",
    "Mismatch": "position found expected",
    "Compiled.canvas": "length pinned more_tokens tail",
    "Canvas.best": "logits",
    "Canvas.sample": "logits temperature generator",
    "Canvas.marginals": "logits",
    "Canvas.pin": "position token_id",
    "Model.generate": "prompt constraint length steps seed candidates",
    "Model.infill": "prefix suffix constraint length",
}
# The arrows of the design: what a folder may import besides itself, `errors` and `cache` (where files are kept).
ARROWS = {
    "automata": set(),
    "constraints": {"automata"},
    "tokens": {"automata"},
    "canvas": {"automata", "constraints", "tokens"},
    "diffusion": {"canvas", "constraints", "tokens"},
    "models": {"automata", "canvas", "diffusion", "tokens"},
    "infill": {"automata", "constraints", "tokens", "canvas", "diffusion", "models"},
}
PURE = ("automata", "constraints", "tokens", "canvas")  # knows no model and no model library


def find(path: str):
    found = dc
    for name in path.split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_there_and_documented(name):
    assert name in dc.__all__ and name in dir(dc) and find(name).__doc__


@pytest.mark.parametrize("path", [f"{owner}.{name}" for owner, names in MEMBERS.items() for name in names.split()])
def test_the_member_is_there(path):
    owner = find(path.split(".")[0])
    assert hasattr(owner, path.split(".")[1]) or path.split(".")[1] in owner.__annotations__


@pytest.mark.parametrize("path", PARAMETERS)
def test_the_parameters_come_in_this_order(path):
    names = [n for n in inspect.signature(find(path)).parameters if n != "self"]
    expected = PARAMETERS[path].split()
    assert [n for n in names if n in expected] == expected
    required = [
        n
        for n, p in inspect.signature(find(path)).parameters.items()
        if p.default is p.empty and p.kind < p.VAR_POSITIONAL
    ]
    assert set(required) <= {"self", *expected}  # what is there besides can be left out


def test_every_error_is_a_constraint_error_and_that_a_value_error():
    errors = [
        getattr(dc, n)
        for n in NAMES
        if n.endswith("Error") or n in ("LimitExceeded", "EmptyConstraint", "Infeasible", "UnsupportedSchema")
    ]
    assert (
        len(errors) == 11
        and all(issubclass(e, dc.ConstraintError) for e in errors)
        and issubclass(dc.ConstraintError, ValueError)
    )


def test_what_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        dc.nonsense


@pytest.mark.parametrize(
    "code, absent",
    [
        ("import dgemma_constrain as dc; dc.infill", "torch numba numpy tree_sitter"),
        ("import dgemma_constrain", "torch numba transformers numpy tokenizers pydantic"),
        ("import dgemma_constrain as dc; dir(dc); dc.ConstraintError", "torch numba transformers numpy"),
        (
            "import dgemma_constrain as dc; dc.regex('a+').matches('aa'); dc.Vocabulary([b'a'])",
            "torch transformers tokenizers",
        ),
        (
            "from dgemma_constrain.canvas import canvas, compiled; from dgemma_constrain.diffusion import model",
            "torch transformers",
        ),
    ],
)
def test_importing_costs_only_what_is_used(code, absent):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted(set({absent.split()!r}) & set(sys.modules)))"],
        capture_output=True, text=True, check=True, cwd=ROOT.parent,
    )  # fmt: skip
    assert done.stdout.split() == []


def imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, by its full name; `from package import name` gives both."""
    package = path.relative_to(ROOT.parent).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(
                [*package[: len(package) - node.level + 1], *filter(None, [node.module])]
                if node.level
                else [node.module]
            )
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_the_walk_sees_imports_of_every_kind():
    assert "dgemma_constrain.automata.kernels" in imported(ROOT / "automata/acyclic.py")  # absolute
    assert "dgemma_constrain.tokens.trie" in imported(ROOT / "tokens/vocabulary.py")  # relative
    assert "safetensors" in imported(ROOT / "canvas/store.py")  # inside a function


@pytest.mark.parametrize("folder", ARROWS)
def test_arrows_point_one_way(folder):
    ours = {folder, "errors", "cache", *ARROWS[folder]}
    for path in files(folder):
        for name in imported(path):
            package, _, rest = name.partition(".")
            if package == "dgemma_constrain":
                assert rest.split(".")[0] in ours, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("folder", PURE)
def test_what_is_below_the_models_knows_no_model_library(folder):
    for path in files(folder):
        libraries = {name.split(".")[0] for name in imported(path)}
        assert "transformers" not in libraries, path
        assert "torch" not in libraries or folder == "canvas", path


def test_models_know_only_the_protocol():
    for path in files("models/embedded"):
        ours = {n for n in imported(path) if n.startswith("dgemma_constrain.diffusion")}
        assert all(n.startswith("dgemma_constrain.diffusion.denoiser") for n in ours), path


def test_files_stay_short_enough_to_read():
    for path in sorted(ROOT.rglob("*.py")):
        assert len(path.read_text().splitlines()) <= 400 and path.read_text().lstrip().startswith(('"""', "#")), path
