"""Where schemas come from, and what a text becomes: dicts, JSON, files, Python types and their instances."""

import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import typing
import uuid
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, Optional, Required, TypedDict, TypeVar

import pydantic
import pytest
import torch

import dgemma_constrain as dc
from dgemma_constrain.errors import ConstraintError, SchemaError

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def test_a_file_by_its_path(tmp_path):
    path = tmp_path / "a.schema.json"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text(json.dumps(SCHEMA), encoding)
        for source in (path, str(path)):
            constraint = dc.json_schema(source)
            assert constraint.matches('{"a": 1}') and not constraint.matches("{}")
            assert constraint.value('{"a": 1}') == {"a": 1}


def test_a_file_that_is_not_there_or_no_schema(tmp_path):
    for source in (tmp_path / "none.json", "none.json", tmp_path):
        with pytest.raises(SchemaError, match="cannot be read"):
            dc.json_schema(source)
    (tmp_path / "bad.json").write_text('{"type":')
    with pytest.raises(SchemaError, match="not JSON"):
        dc.json_schema(tmp_path / "bad.json")
    with pytest.raises(SchemaError, match="path of a file ends in .json"):
        dc.json_schema("person.schema")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 20


class Point(TypedDict):
    x: int
    label: NotRequired[str]


class Figure(TypedDict, total=False):
    first: Required[Point]
    more: list[Point]


class Pair(NamedTuple):
    left: int
    right: str = "x"


@dataclasses.dataclass
class Node:
    value: int
    children: "list[Node]" = dataclasses.field(default_factory=list)


T = TypeVar("T")


class Box(pydantic.BaseModel, Generic[T]):
    content: T


class Everything(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    age: int = pydantic.Field(ge=0, le=150)
    share: float
    exact: decimal.Decimal
    day: datetime.date
    moment: datetime.datetime
    hour: datetime.time
    lasts: datetime.timedelta
    id: uuid.UUID
    color: Color
    level: Level
    literal: Literal["a", 1, None]
    pair: tuple[int, str]
    by_name: dict[str, int]
    by_number: dict[int, bool]
    word: Annotated[str, pydantic.Field(pattern="^[a-z]+$", max_length=5)]
    known_as: int = pydantic.Field(alias="knownAs")
    distinct: set[int]
    maybe: Optional[int] = None
    random_id: pydantic.UUID4
    address: pydantic.IPvAnyAddress
    data: pydantic.Base64Bytes
    url_data: pydantic.Base64UrlBytes
    by_word: dict[Annotated[str, pydantic.Field(pattern="^k")], int]


Number = typing.NewType("Number", int)

TYPES = [
    *(int, str, bool, float, type(None), bytes, list, dict, Any, Number, Color, Level, decimal.Decimal, uuid.UUID),
    *(list[int], dict[str, int], tuple[int, ...], tuple[int, str], int | None, int | str, set[int], frozenset[str]),
    *(Literal["a", 2], Annotated[int, pydantic.Field(gt=3)], Point, Figure, list[Point] | None, Pair, Node, Box[int]),
    *(Box[list[int]], Everything, datetime.date, datetime.datetime, pydantic.HttpUrl, pydantic.TypeAdapter(list[int])),
]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_every_text_of_a_type_becomes_an_instance(kind):
    """Whatever the schema lets through (random logits), pydantic reads, strictly as the type says."""
    vocabulary = dc.load().vocabulary
    constraint = dc.json_schema(kind, whitespace="compact")
    compiled = dc.compile(constraint, vocabulary)
    length = int(compiled.automaton.distance[0]) + 20
    canvas = compiled.canvas(length)
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        logits = 2 * torch.randn(length, len(vocabulary), generator=generator)
        text = vocabulary.decode(canvas.sample(logits, generator=generator).ids)
        value = constraint.value(text)
        if isinstance(kind, type) and kind is not Any and not typing.is_typeddict(kind) and not typing.get_origin(kind):
            assert isinstance(value, kind), (text, value)
        if kind is Everything:
            again = value.model_dump(mode="json", by_alias=True) | {"exact": float(value.exact)}
            assert constraint.matches(json.dumps(again, separators=(",", ":")))


def test_the_model_gives_an_instance():
    @dataclasses.dataclass
    class Person:
        name: str
        age: int
        city: str

    text = "Maria Lopez, 29, moved to Lisbon last year."
    out = dc.load().generate(text, dc.json_schema(Person, values_from=text))
    assert isinstance(out.value, Person) and out.value.name in text and str(out.value.age) in text


def test_whole_numbers_in_any_spelling_are_ints():
    constraint = dc.json_schema(list[int])
    text = "[1.0, 2e3, -0, 12345678901234567890e10, 1.5e1]"
    assert constraint.matches(text)
    assert constraint.value(text) == [1, 2000, 0, 123456789012345678900000000000, 15]
    assert all(type(value) is int for value in constraint.value(text))
    assert dc.json_schema(dict[str, float]).value('{"1e2": 1e2, "\\\\\\"1.0": 0.5}') == {"1e2": 100.0, '\\"1.0': 0.5}
    assert dc.json_schema(decimal.Decimal).value("-18.50") == decimal.Decimal("-18.5")


def test_what_a_type_refuses_though_its_schema_does_not_is_an_error_that_says_so():
    class Even(pydantic.BaseModel):
        n: int

        @pydantic.field_validator("n")
        @classmethod
        def even(cls, n):
            if n % 2:
                raise ValueError("must be even")
            return n

    constraint = dc.json_schema(Even)
    assert constraint.value('{"n": 2}') == Even(n=2)
    with pytest.raises(ConstraintError, match=r"Even.*must be even \(at n\)"):
        constraint.value('{"n": 1}')


@pytest.mark.parametrize(
    "kind", [complex, pydantic.Json, typing.Callable[[], int], 3, None, object()], ids=lambda kind: type(kind).__name__
)
def test_what_has_no_schema(kind):
    with pytest.raises(SchemaError, match="[Ss]chema"):
        dc.json_schema(kind)


def test_paths_of_any_kind(tmp_path):
    class Path:
        def __fspath__(self):
            return str(tmp_path / "a.json")

    (tmp_path / "a.json").write_text("true")
    assert dc.json_schema(Path()).matches("[1]") and dc.json_schema(pathlib.PurePath(tmp_path / "a.json")).matches("1")
