"""Whatever pip installs for the project is pinned, and each file has its hash."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINNED = re.compile(r"[a-z0-9-]+==[^ ]+( ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


class Requirements(unittest.TestCase):
    def test_each_is_pinned_by_hash(self):
        folders = [ROOT / "models", ROOT / "agent" / "scene", ROOT / "agent" / "contract" / "validators"]
        found = [path for folder in folders for path in folder.rglob("requirements.txt") if "cache" not in path.parts]
        self.assertGreaterEqual(len(found), 6)
        for path in found:
            lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
            for number, line in enumerate(lines):
                with self.subTest(path=path.relative_to(ROOT), line=line):
                    self.assertTrue(PINNED.fullmatch(line) or HASH.fullmatch(line))
                    # A name is followed by its first hash; the last hash of a version has nothing after it.
                    after = lines[number + 1] if number + 1 < len(lines) else ""
                    self.assertEqual(line.endswith("\\"), after.startswith("    --hash"))

    def test_make_takes_nothing_else(self):
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        installs = [line for line in makefile.replace("\\\n", " ").splitlines() if "pip install" in line]
        self.assertTrue(installs)
        for line in installs:
            self.assertTrue("$(PINNED)" in line or "--require-hashes" in line, line)


if __name__ == "__main__":
    unittest.main()
