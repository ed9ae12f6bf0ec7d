"""The code that the model learns from: Python's standard library and permissively licensed packages, into one file.

    python examples/train_embedded/sources.py --out /tmp/train/sources.json.xz [--archives FOLDER]

It downloads the packages listed in `packages.txt` with pip, npm and apt-get (unless FOLDER holds them already), keeps those whose metadata
names a permissive licence, and writes the text of their sources, cut to `--megabytes`. `packages.txt` says which whole packages are kept for evaluation.
"""

import argparse
import hashlib
import io
import json
import lzma
import random
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

HERE = Path(__file__).resolve().parent
PERMISSIVE = re.compile(
    r"\b(MIT|BSD|Apache|ISC|Expat|Boost|BSL|PSF|Python Software Foundation|Zlib|Unlicense|0BSD|HPND|Public Domain|MIT-0|BlueOak)", re.I
)
OTHER = re.compile(r"\b(A?GPL|LGPL|MPL|Mozilla|EPL|CDDL|Proprietary|Commercial|SSPL|BUSL)", re.I)
LANGUAGES = dict(
    py="python", js="javascript", mjs="javascript", jsx="javascript", ts="javascript", tsx="javascript",
    json="json", c="c", h="c", cpp="c", hpp="c", cc="c", rs="rust", go="go", css="css", html="html",
)  # fmt: skip
SKIP = re.compile(
    r"(^|/)(tests?|testing|__tests__|test_[^/]*|vendor|_vendor|node_modules|encodings|pydoc_data|lib2to3|idlelib|turtledemo|"
    r"config-[^/]*|locale|locales|dist|umd|bundles?|min|fesm[^/]*|esm[0-9]*)/|_sysconfigdata|/_?test|\.min\.|_pb2|_test\.go$|\.pb\.go$|\.d\.ts$|package-lock",
    re.I,
)


def listed() -> tuple[dict[str, list[str]], set[str]]:
    """The packages of each kind (pip, npm, deb), and the names among them that are held out."""
    names, held = dict(pip=[], npm=[], deb=[]), set()
    for line in (HERE / "packages.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            kind, name, *rest = line.split()
            names[kind].append(name)
            if "held-out" in rest:
                held.add(name)
    return names, held


def download(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names, _ = listed()
    for name in names["pip"]:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), name])
    for name in names["npm"]:
        subprocess.run(["npm", "pack", "--silent", name], cwd=folder, stdout=subprocess.DEVNULL)
    for name in names["deb"]:
        subprocess.run(["apt-get", "download", "-q", name], cwd=folder, stdout=subprocess.DEVNULL)


def members(archive: Path):
    """(path, reader) of every file."""
    if archive.suffix == ".whl" or archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if not info.is_dir():
                    yield info.filename, lambda info=info: opened.read(info)
    else:
        unpacked = None
        if archive.suffix == ".deb":
            unpacked = io.BytesIO(subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], capture_output=True, check=True).stdout)
        with tarfile.open(None if unpacked else archive, fileobj=unpacked) as opened:
            for info in opened:
                if info.isfile():
                    yield info.name, lambda info=info: opened.extractfile(info).read()


def read(archive: Path) -> tuple[dict, list[dict]]:
    """The package (name, version, licence) and its source files."""
    package, files = dict(name="", version="", licence=""), []
    for path, reader in members(archive):
        name = path.rpartition("/")[2]
        if name in ("METADATA", "PKG-INFO") and not package["name"]:
            text = reader().decode("utf-8", "replace").split("\n\n")[0]
            field = lambda key: re.findall(rf"^{key}: (.*)$", text, re.M)  # noqa: E731
            classifiers = [c.rpartition(" :: ")[2] for c in field("Classifier") if c.startswith("License ::")]
            licences = field("License-Expression") or classifiers or [one[:60] for one in field("License")]
            package = dict(name=field("Name")[0], version=field("Version")[0], licence="; ".join(licences))
        elif path == "package/package.json":
            about = json.loads(reader())
            licence = about.get("license", "")
            package = dict(
                name=about["name"],
                version=about["version"],
                licence=licence if isinstance(licence, str) else str(licence.get("type")),
            )
        elif archive.suffix == ".deb" and re.fullmatch(r"\./usr/share/doc/[^/]*/copyright", path):
            whole = re.search(r"^Files: ?\*$.*?^License: (.*?)$", reader().decode("utf-8", "replace"), re.M | re.S)
            package = dict(zip(("name", "version"), unquote(archive.name).split("_")), licence=whole[1] if whole else "")
        language = LANGUAGES.get(name.rpartition(".")[2])
        if language and not SKIP.search("/" + path):
            text = reader().decode("utf-8", "replace")
            lines = text.splitlines()
            if (
                400 < len(text) < 80_000
                and max(map(len, lines)) < 300
                and len(text) / len(lines) < 70
                and "\ufffd" not in text
            ):
                files.append(dict(path=path, language=language, text=text))
    return package, files


def standard_library() -> tuple[dict, list[dict]]:
    root, files = Path(sysconfig.get_path("stdlib")), []
    for path in sorted(root.rglob("*.py")):
        short = str(path.relative_to(root))
        if not SKIP.search("/" + short) and "site-packages" not in short:
            text = path.read_text("utf-8", "replace")
            if 400 < len(text) < 150_000:
                files.append(dict(path=short, language="python", text=text))
    return dict(name="python", version=sys.version.split()[0], licence="PSF"), files


def collect(archives: Path, megabytes: float) -> dict:
    """{packages: [...], files: [...]} with each file's package and whether it is held out."""
    _, held = listed()
    rng, seen, packages, files = random.Random(0), set(), [], []
    found = [standard_library()]
    for archive in sorted(archives.iterdir()):
        if archive.name.endswith((".whl", ".tar.gz", ".tgz", ".zip", ".deb")):
            found.append(read(archive))
    for package, contents in found:
        if not PERMISSIVE.search(package["licence"]) or OTHER.search(package["licence"]):
            print("left out:", package, file=sys.stderr)
            continue
        kept, size = [], 0
        rng.shuffle(contents)
        for file in contents:
            key = hashlib.sha1(file["text"].encode()).digest()
            if key not in seen and size < 3_500_000:  # no package is all there is
                seen.add(key)
                size += len(file["text"])
                kept.append(file | dict(package=package["name"], test=package["name"].lower() in held))
        packages.append(package | dict(files=len(kept), characters=size, held_out=package["name"].lower() in held))
        files += kept
    budget = dict(python=0.7, javascript=0.22, json=0.02, c=0.05, rust=0.1, go=0.1, css=0.01, html=0.01)
    rng.shuffle(files)
    files.sort(key=lambda file: not file["test"])
    total, chosen = dict.fromkeys(budget, 0), []
    for file in files:
        if total[file["language"]] < budget[file["language"]] * megabytes * 1e6:
            total[file["language"]] += len(file["text"])
            chosen.append(file)
    print(total, len(chosen), "files", file=sys.stderr)
    return dict(packages=packages, files=chosen)


def packages_card(data: dict) -> str:
    """What the code is from, for the model card: name, version and licence of each package, and how much of it was taken."""
    taken, held = Counter(), Counter()
    for file in data["files"]:
        (held if file["test"] else taken)[file["package"]] += len(file["text"])
    lines = [
        "# Packages whose sources the embedded model was trained on\n",
        "Name, version, licence as its metadata has it, characters.\n",
    ]
    rows = sorted({(p["name"], p["version"], p["licence"]) for p in data["packages"]}, key=lambda row: row[0].lower())
    for title, counts in (("Trained on", taken), ("Held out, whole, for evaluation", held)):
        lines.append(f"## {title}\n")
        lines += [
            f"- {name} {version} ({licence}): {counts[name]:,}" for name, version, licence in rows if counts[name]
        ]
        lines.append("")
    return "\n".join(lines)


def load(path: Path) -> list[dict]:
    return json.loads(lzma.open(path).read())["files"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--archives", type=Path, help="a folder that holds the packages' archives")
    parser.add_argument("--megabytes", type=float, default=172)
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    archives = args.archives or args.out.parent / "archives"
    if not args.archives:
        download(archives)
    data = collect(archives, args.megabytes)
    with lzma.open(args.out, "wb", preset=3) as file:
        file.write(json.dumps(data, ensure_ascii=False).encode())
    (args.out.parent / "PACKAGES.md").write_text(packages_card(data))
    print(args.out, args.out.stat().st_size / 1e6, "MB", file=sys.stderr)


if __name__ == "__main__":
    main()
