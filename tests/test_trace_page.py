"""The trace page: a whole page with everything escaped; and, where there is a Chromium, what a reader sees in it."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from denoisers import RandomDenoiser

import dgemma_constrain as dc
from dgemma_constrain.diffusion.model import Model
from dgemma_constrain.diffusion.trace import Step, Trace
from dgemma_constrain.show.cells import KEPT, NEW, OPEN, PINNED, REMASKED, History
from dgemma_constrain.show.html import trace_html

NASTY = "</script><script>alert(1)</script><!-- {{data}} &amp; \u2028 '\" é"


class Page(HTMLParser):
    """A page's tags, the text of each element that has an id (up to the tag inside it that closes first), and all of it."""

    def __init__(self, page: str):
        super().__init__()
        self.texts, self.tags, self._open, self.all = {}, [], None, ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id", self._open)

    def handle_data(self, data):
        self.all += data
        if self._open:
            self.texts[self._open] = self.texts.get(self._open, "") + data

    def handle_endtag(self, tag):
        self._open = None


def step(canvas, proposal, committed=(), remasked=(), offset=0, block=0, alternatives=()):
    n = len(canvas)
    return Step(
        block,
        offset,
        list(canvas),
        list(proposal),
        list(committed),
        list(remasked),
        [0.5] * n,
        [7] * n,
        list(alternatives),
        1.5,
        0.25,
    )


def two_blocks() -> Trace:
    steps = [
        step([1, None, None], [1, 2, 3], alternatives=[[(1, 1.0)], [(2, 0.75), (3, 0.25)], [(3, 0.004)]]),
        step([1, 2, None], [1, 2, 3], committed=[1]),
        step([1, None, 3], [1, 2, 3], committed=[2], remasked=[1]),
        step([1, 2, 3], [1, 2, 3], committed=[1]),
        step([4, None], [4, 0], committed=[0], offset=3, block=1),
        step([4, 0], [4, 0], committed=[1], offset=3, block=1),
    ]
    pieces = {0: "<end>", 1: NASTY.encode(), 2: b"\n  two", 3: b"\xe2\x82", 4: "ü</script>".encode()}
    return Trace(NASTY, steps, pieces, 12.5)


def generated(length=40, **options) -> tuple[Trace, str]:
    out = Model(RandomDenoiser(block=24)).generate(
        "a prompt", dc.regex(r"(\w+ ){3,}\n  [a-z]*"), length, 8, trace=True, **options
    )
    return out.trace, out.text


def test_history_says_what_became_of_each_position():
    history = History()
    kinds = [[cell.kind for cell in history.add(s)] for s in two_blocks().steps]
    assert kinds == [
        [PINNED, OPEN, OPEN],
        [PINNED, NEW, OPEN],
        [PINNED, REMASKED, NEW],
        [PINNED, NEW, KEPT],
        [NEW, OPEN],
        [KEPT, NEW],
    ]
    assert [cell.since for cell in history.blocks[0]] == [-1, 3, 2]


def test_nothing_in_a_prompt_text_or_token_becomes_markup():
    page = trace_html(two_blocks(), NASTY)
    read = Page(page)
    assert read.texts["prompt"] == read.texts["text"] == NASTY
    assert [tag for tag, _ in read.tags].count("script") == 2
    assert json.loads(read.texts["data"])["pieces"]["1"]["text"] == NASTY
    assert json.loads(read.texts["data"])["pieces"]["3"]["text"] == "\\xe2\\x82"


def test_the_page_asks_for_nothing_from_elsewhere():
    page = trace_html(*generated())
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|//[a-z]|\bimport\b|@font-face|url\(", page.split('id="data"')[0])
    assert not [a for _, a in Page(page).tags if "src" in a or "href" in a]


def test_a_text_without_steps_is_a_page_too():
    assert Page(trace_html(Trace("p"), "")).texts["prompt"] == "p"


# -- in a browser

needs_chromium = pytest.mark.skipif(
    not shutil.which("chromium"), reason="no chromium on PATH: the page isn't seen as a reader sees it"
)
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --virtual-time-budget=10000"
).split()


@pytest.fixture
def seen(tmp_path):
    """seen(page, "step=3", script) is the DOM after the page's own scripts, and then ours, have run."""

    def look(page: str, fragment: str = "", script: str = "") -> Page:
        file = tmp_path / "page.html"
        file.write_text(page + f"<script>{script}</script>", "utf-8")
        done = subprocess.run(
            ["chromium", *QUIET, f"--user-data-dir={tmp_path / 'user'}", "--dump-dom", f"file://{file}#{fragment}"],
            capture_output=True, timeout=120,
        )  # fmt: skip
        return Page(done.stdout.decode())

    return look


def card(page: Page) -> dict:
    """The attributes of the card that tells about one token."""
    return next(a for _, a in page.tags if a.get("id") == "card")


def cells(page: Page) -> list[tuple[str, str]]:
    """(class, label) of each token on the canvas."""
    return [(a["class"], a["aria-label"]) for tag, a in page.tags if tag == "span" and "data-position" in a]


@needs_chromium
def test_the_address_chooses_the_step(seen):
    page = trace_html(two_blocks(), NASTY)
    second = cells(seen(page, "step=2"))
    assert [c for c, _ in second] == ["t pinned", "t new", "t open"]
    assert second[1][1] == "position 1: ⏎··two, 50.0\u00a0%" and second[2][1] == "position 2: undecided"
    third = seen(page, "step=3")
    assert [c for c, _ in cells(third)] == ["t pinned", "t remasked", "t new"] and "step 3 of 6" in third.texts["now"]
    last = seen(page)  # no fragment: as it ended, both blocks
    assert [c for c, _ in cells(last)] == ["t pinned", "t kept", "t kept", "t kept", "t new special end"]
    assert "block 2" in last.texts["now"]


@needs_chromium
def test_slider_keys_and_play_move_through_the_steps(seen):
    page = trace_html(*generated())
    slide = "const s = document.getElementById('slider'); s.value = 4; s.dispatchEvent(new Event('input'));"
    press = "dispatchEvent(new KeyboardEvent('keydown', {key: '%s', bubbles: true}));"
    by_address, by_slider = seen(page, "step=4"), seen(page, "step=1", slide)
    assert cells(by_slider) == cells(by_address) != cells(seen(page, "step=1"))
    assert cells(seen(page, "step=3", press % "ArrowRight")) == cells(by_address)
    assert cells(seen(page, "step=5", press % "ArrowLeft")) == cells(by_address)
    played = seen(page, "step=1", "document.getElementById('play').click()")
    assert cells(played) == cells(seen(page, "")) and played.texts["play"] == "Play"


@needs_chromium
def test_focus_shows_what_else_was_likely(seen):
    page = trace_html(two_blocks(), NASTY)
    focus = "document.querySelector('[data-position=\"%d\"]').focus();"
    told = seen(page, "step=1", focus % 1)
    assert "hidden" not in card(told) and "left:" in card(told)["style"]
    assert "Position 1, undecided; proposed with 50.0\u00a0%." in told.all
    assert "Before step 1, the constraint allowed 7 tokens here:⏎··two75.0\u00a0%\\xe2\\x8225.0\u00a0%" in told.all
    assert "decided in step 4 with" in seen(page, "step=4", focus % 1).all
    assert "hidden" in card(seen(page, "step=1"))


@needs_chromium
def test_no_script_of_a_token_runs_and_no_error_is_raised(seen):
    watch = "<script>\nonerror = (m) => { document.title = m; }; alert = () => { document.title = 'ran'; };\n"
    page = trace_html(two_blocks(), NASTY).replace("<script>\n", watch, 1)
    everything = (
        "ghosts(); for (let k = 0; k < 6; k++) { go(k); for (const t of document.querySelectorAll('.t')) t.focus(); }"
    )
    assert "How a text was written" in (dom := seen(page, "step=2", everything)).all and "6 of 6" in dom.all
    assert "ReferenceError" in seen(page, "step=2", "nonsense()").all  # the watch watches
