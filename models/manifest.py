"""Reads manifest.toml, which explains its own keys, and refuses what does not fit it."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

try:
    import tomllib
except ModuleNotFoundError:
    sys.exit(f"Python 3.11 or newer is needed (this is {sys.version.split()[0]}); Debian 12 and later have it as python3")

KINDS = ("ssd-coco", "yolox", "retina-plate", "ctc-reader", "slot-reader")
CLASSES = ("car", "bus", "truck", "motorcycle", "bicycle")
LAYOUTS = ("nchw-f32", "nhwc-u8")
COLOURS = ("bgr", "rgb")

# Per table: key -> (type, whether it must be there).
PINNED = {"sha256": (str, True), "bytes": (int, True)}
LIBRARY = {"arch": (str, True), "platform": (str, True), "path": (str, True), **PINNED}
WHEEL = {"registry": (str, True), "package": (str, True), "version": (str, True), "python": (str, True)}
RUNTIME = {"file": (str, True), "licence": (str, True), "source": (dict, True), "library": (list, True),
           "notices": (list, False)}
SOURCE_FILE = {"path": (str, True), "file": (str, True), **PINNED}
SOURCE = {"registry": (str, True), "package": (str, True), "version": (str, True), "convert": (str, False),
          "files": (list, True)}
PROVIDER = {"name": (str, True), "arch": (str, True), "platform": (str, True), "file": (str, True),
            "licence": (str, True), "source": (dict, True)}
PROVIDER_SOURCE = {**WHEEL, "files": (list, True)}
INPUT = {"layout": (str, True), "colour": (str, True), "width": (int, True), "height": (int, True)}
DICTIONARY = {"file": (str, True), "sha256": (str, False), "bytes": (int, False)}
MODEL = {"name": (str, True), "kind": (str, True), "file": (str, True), "sha256": (str, False),
         "bytes": (int, False), "licence": (str, False), "input": (dict, False), "labels": (dict, False),
         "dictionary": (dict, False), "source": (dict, False), "optional": (bool, False)}
# How `fetch.py --only` calls the licence texts of the runtime.
NOTICES = "runtime-notices"
TOP = {"runtime": (dict, True), "provider": (list, False), "model": (list, True)}


class ManifestError(Exception):
    """The manifest does not fit its schema; the text names the place."""


@dataclass(frozen=True)
class Wanted:
    """One file that has to be there, with the content it has to have (None: any)."""

    owner: str  # the model's or provider's name, or "runtime"
    path: Path
    sha256: str | None
    bytes: int | None


def table(value, schema, where):
    if not isinstance(value, dict):
        raise ManifestError(f"{where}: a table was expected")
    for key in value:
        if key not in schema:
            raise ManifestError(f"{where}: unknown key '{key}' (known: {', '.join(schema)})")
    for key, (kind, required) in schema.items():
        if key not in value:
            if required:
                raise ManifestError(f"{where}: '{key}' is missing")
        elif not isinstance(value[key], kind) or isinstance(value[key], bool) != (kind is bool):
            raise ManifestError(f"{where}: '{key}' must be of type {kind.__name__}")
    digest = value.get("sha256") if "sha256" in schema else None
    if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
        raise ManifestError(f"{where}: 'sha256' must be 64 small hexadecimal digits")
    return value


def one_of(value, allowed, where):
    if value not in allowed:
        raise ManifestError(f"{where}: '{value}' is not one of {', '.join(allowed)}")


def in_cache(name, where):
    """A name that stays inside the cache."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ManifestError(f"{where}: '{name}' must be a place inside the cache")


def check_model(model, where):
    table(model, MODEL, where)
    where = f"model '{model['name']}'"
    one_of(model["kind"], KINDS, f"{where}: kind")
    if "input" in model:
        table(model["input"], INPUT, f"{where}: input")
        one_of(model["input"]["layout"], LAYOUTS, f"{where}: layout")
        one_of(model["input"]["colour"], COLOURS, f"{where}: colour")
    for index, label in model.get("labels", {}).items():
        one_of(label, CLASSES, f"{where}: labels")
        if not (index.isascii() and index.isdigit()):
            raise ManifestError(f"{where}: labels: '{index}' is no class index")
    if model["kind"] in ("ssd-coco", "yolox") and not model.get("labels"):
        raise ManifestError(f"{where}: a vehicle detector needs 'labels'")
    if model["kind"] == "ctc-reader" and "dictionary" not in model:
        raise ManifestError(f"{where}: a reader needs a 'dictionary'")
    if "dictionary" in model:
        table(model["dictionary"], DICTIONARY, f"{where}: dictionary")
    if "source" in model:
        check_source(model, where)


def check_source(model, where):
    source = table(model["source"], SOURCE, f"{where}: source")
    one_of(source["registry"], ("pypi", "npm"), f"{where}: registry")
    for entry in source["files"]:
        table(entry, SOURCE_FILE, f"{where}: source.files")
        in_cache(entry["file"], where)
    in_cache(model["file"], where)
    made = {entry["file"] for entry in source["files"]}
    if "convert" in source:
        one_of(source["convert"], ("tfjs-graph",), f"{where}: convert")
        made.add(model["file"])
        if not any(PurePosixPath(entry["file"]).name == "model.json" for entry in source["files"]):
            raise ManifestError(f"{where}: a tfjs-graph needs its model.json among 'files'")
    for part in (model, model.get("dictionary", model)):
        if part["file"] not in made:
            raise ManifestError(f"{where}: its source does not hold '{part['file']}'")
        if "sha256" not in part or "bytes" not in part:
            raise ManifestError(f"{where}: '{part['file']}' has a source and so needs 'sha256' and 'bytes'")


def check_provider(provider, where):
    table(provider, PROVIDER, where)
    where = f"provider '{provider['name']}'"
    source = table(provider["source"], PROVIDER_SOURCE, f"{where}: source")
    one_of(source["registry"], ("pypi",), f"{where}: registry")
    for entry in source["files"]:
        table(entry, SOURCE_FILE, f"{where}: source.files")
        in_cache(entry["file"], where)
    if provider["file"] not in [entry["file"] for entry in source["files"]]:
        raise ManifestError(f"{where}: its source does not hold '{provider['file']}'")


class Manifest:
    def __init__(self, path):
        self.path = Path(path)
        try:
            data = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ManifestError(f"{self.path}: {error}") from None
        table(data, TOP, self.path.name)
        self.runtime = table(data["runtime"], RUNTIME, "runtime")
        table(self.runtime["source"], WHEEL, "runtime: source")
        in_cache(self.runtime["file"], "runtime")
        for library in self.runtime["library"]:
            table(library, LIBRARY, "runtime.library")
        for notice in self.runtime.get("notices", []):
            table(notice, SOURCE_FILE, "runtime: notices")
            in_cache(notice["file"], "runtime: notices")
        self.providers = data.get("provider", [])
        for position, provider in enumerate(self.providers, 1):
            check_provider(provider, f"provider {position}")
        self.models = data["model"]
        for position, model in enumerate(self.models, 1):
            check_model(model, f"model {position}")
        names = [part["name"] for part in self.models + self.providers]
        for name in names:
            if names.count(name) > 1 or name in ("runtime", NOTICES):
                raise ManifestError(f"'{name}': the name is taken")

    def library(self, arch):
        for library in self.runtime["library"]:
            if library["arch"] == arch:
                return library
        known = ", ".join(library["arch"] for library in self.runtime["library"])
        raise ManifestError(f"runtime: no library for '{arch}' (there is one for {known})")

    def runtime_file(self, cache, arch):
        library = self.library(arch)
        return Wanted("runtime", cache / self.runtime["file"], library["sha256"], library["bytes"])

    def notice_files(self, cache):
        return [Wanted(NOTICES, cache / f["file"], f["sha256"], f["bytes"]) for f in self.runtime.get("notices", [])]

    def provider_files(self, cache, provider):
        return [Wanted(provider["name"], cache / f["file"], f["sha256"], f["bytes"])
                for f in provider["source"]["files"]]

    def model_files(self, cache, model):
        """Every file of a model, what it is made from included."""
        folder = cache if "source" in model else self.path.parent
        parts = [model] + ([model["dictionary"]] if "dictionary" in model else [])
        parts += model.get("source", {}).get("files", [])
        wanted = {}
        for part in parts:  # a file may be both a part of the source and the model itself
            path = folder / part["file"]
            wanted[path] = Wanted(model["name"], path, part.get("sha256"), part.get("bytes"))
        return list(wanted.values())
