#!/usr/bin/env python3
"""Writes what the package hands on of others: each Rust crate in the binary with its licence and the texts that it ships,
and, for the agent, the notices of ONNX Runtime.

    python3 systemd/debian/third_party.py --cargo cargo --features openvino --notices models/cache/notices --out FILE.gz
    python3 systemd/debian/third_party.py --cargo cargo --package kakou-central --out FILE.gz

The crates are those that `cargo tree` names for the package, without what only builds or tests it; their sources
are where cargo has put them. The same input gives the same bytes.
"""

import argparse
import gzip
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TEXTS = re.compile(r"(licen[cs]e|copying|notice|copyright|unlicense|authors)([-._].*)?", re.IGNORECASE)
# What is no text of a licence though its name begins so.
CODE = {".rs", ".toml", ".json", ".html", ".py", ".hbs"}
MIT = """MIT License

{holder}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE."""
# What the repository of a crate has and the crate does not ship.
OF_THE_REPOSITORY = {
    "refinery": {"LICENSE of the repository rust-db/refinery": MIT.format(holder="Copyright (c) 2018 Katharina")},
}
RULE = "=" * 100


class NoticeError(Exception):
    """The text says what is missing."""


@dataclass(frozen=True)
class Crate:
    name: str
    version: str
    licence: str
    folder: Path


def run(command):
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise NoticeError(f"{' '.join(command)} failed (exit code {done.returncode})")
    return done.stdout


def crates(cargo, package, features):
    """Every crate of others in the binary."""
    chosen = ["--no-default-features", "--features", features] if features else []
    tree = run([cargo, "tree", "--locked", "--package", package, *chosen,
                "--edges", "normal", "--prefix", "none", "--format", "{p}"])
    wanted = {tuple(line.split()[:2]) for line in tree.splitlines() if line.strip()}
    known = json.loads(run([cargo, "metadata", "--locked", "--format-version", "1"]))
    found = []
    for one in known["packages"]:
        key = (one["name"], f"v{one['version']}")
        if key not in wanted:
            continue
        wanted.discard(key)
        if one["source"] is None:  # ours
            continue
        folder = Path(one["manifest_path"]).parent
        licence = one["license"] or f"see {one['license_file']}"
        found.append(Crate(one["name"], one["version"], licence, folder))
    if wanted:
        raise NoticeError(f"cargo metadata does not know {sorted(wanted)}")
    if not found:
        raise NoticeError("cargo tree names no crate")
    return sorted(found, key=lambda crate: (crate.name, crate.version))


def texts(crate):
    """The licence texts that a crate ships: name within the crate, and content."""
    found = {}
    for path in sorted(crate.folder.rglob("*")):
        within = path.relative_to(crate.folder)
        if not path.is_file() or within.parts[0] in ("target", ".git"):
            continue
        in_folder = any(re.fullmatch(r"licen[cs]es?", part, re.IGNORECASE) for part in within.parts[:-1])
        if (TEXTS.fullmatch(path.name) or in_folder) and path.suffix.lower() not in CODE:
            text = path.read_text("utf-8", errors="replace").replace("\r\n", "\n").strip("\n")
            if text.strip():
                found[str(within)] = "\n".join(line.rstrip() for line in text.split("\n"))
    return found


def notice(package, all_crates, runtime):
    """The whole file. A text that several crates ship stands once."""
    lines = [f"Software of others in the package {package}.", "",
             f"The program /usr/bin/{package} is built of these Rust crates. Their names, versions and licences (SPDX), and "
             "the number of", "each text below that they ship:", ""]
    numbers, users = {}, {}
    for crate in all_crates:
        shipped = []
        for name, text in (texts(crate) or OF_THE_REPOSITORY.get(crate.name, {})).items():
            number = numbers.setdefault(text, len(numbers) + 1)
            users.setdefault(number, []).append(f"{crate.name} {crate.version} ({name})")
            shipped.append(number)
        told = ", ".join(str(number) for number in sorted(set(shipped))) or "ships no text"
        lines.append(f"  {crate.name} {crate.version}  {crate.licence}  [{told}]")
        if not shipped and "Apache-2.0" not in crate.licence:
            raise NoticeError(f"{crate.name} {crate.version} ({crate.licence}) ships no licence text, and Debian has none "
                              "for it: add its text here, or do without the crate")
    lines += ["", "A crate that ships no text is under Apache-2.0, whose text is in /usr/share/common-licenses/Apache-2.0."]
    if runtime:
        lines += ["ONNX Runtime (/usr/lib/kakou/libonnxruntime.so) follows at the end, with its own third parties.",
                  "The models are named with their licences in /usr/share/kakou/models/manifest.toml."]
    lines.append("")
    for text, number in numbers.items():
        lines += [RULE, f"Text {number}: " + "; ".join(users[number]), RULE, "", text, ""]
    for path in runtime:
        text = path.read_text("utf-8", errors="replace").replace("\r\n", "\n").strip("\n")
        lines += [RULE, f"ONNX Runtime: {path.name}", RULE, "", text, ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cargo", default="cargo")
    parser.add_argument("--package", default="kakou", help="the crate and its program")
    parser.add_argument("--features", help="those that the package is built with; without: its default")
    parser.add_argument("--notices", type=Path, metavar="DIR", help="the texts of ONNX Runtime, for the agent")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.gz")
    args = parser.parse_args()
    if args.package == "kakou" and not args.notices:
        parser.error("the agent's package holds ONNX Runtime: name its texts by --notices")
    runtime = sorted(args.notices.glob("onnxruntime-*")) if args.notices else []
    if args.notices and len(runtime) != 2:
        raise NoticeError(f"{args.notices} must hold licence and notices of ONNX Runtime: "
                          "python3 models/fetch.py --only runtime-notices")
    found = crates(args.cargo, args.package, args.features)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(gzip.compress(notice(args.package, found, runtime).encode(), compresslevel=9, mtime=0))
    bare = [crate.name for crate in found if not texts(crate)]
    print(f"third parties: {len(found)} crates, {len(bare)} of them ship no licence text; {args.out}")


if __name__ == "__main__":
    try:
        main()
    except (NoticeError, OSError) as error:
        sys.exit(f"third_party.py: {error}")
