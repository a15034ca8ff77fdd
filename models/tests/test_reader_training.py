"""What the reader's training says about plates: kinds, layouts, texts, alphabet. Nothing is drawn or trained."""

import collections
import hashlib
import random
import re
import sys
import unittest
from pathlib import Path

MODELS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(MODELS / "train" / "reader"))
sys.dont_write_bytecode = True

import alphabet  # noqa: E402
import kinds  # noqa: E402
import layouts  # noqa: E402

try:
    import numpy
except ImportError:
    numpy = None


class Alphabet(unittest.TestCase):
    def test_every_symbol_once_and_every_province(self):
        self.assertEqual(len(set(alphabet.SYMBOLS)), len(alphabet.SYMBOLS))
        self.assertEqual(len(alphabet.PROVINCES), 31)
        self.assertTrue(set(alphabet.PROVINCES) < set(alphabet.SYMBOLS))
        self.assertNotIn("I", alphabet.SYMBOLS)
        self.assertNotIn("O", alphabet.LETTERS, "O is no serial letter")

    def test_texts_survive_numbers(self):
        for text in ("皖A12345", "WJ07X0230", "京X0001应急", "民航B0150", "M1000", ""):
            numbers = alphabet.encode(text)
            self.assertEqual(len(numbers), alphabet.SLOTS)
            self.assertEqual(alphabet.decode(numbers), text)


class Kinds(unittest.TestCase):
    def test_every_character_has_a_box_inside_the_plate(self):
        for kind in kinds.KINDS:
            found = kinds.boxes(kind)
            width, height = kind.size
            self.assertEqual(len(found), len(kind.pattern), kind.name)
            self.assertLessEqual(len(found), alphabet.SLOTS, kind.name)
            for x, y, w, h in found:
                self.assertTrue(0 <= x and x + w <= width and 0 <= y and y + h <= height, kind.name)

    def test_boxes_do_not_overlap(self):
        for kind in kinds.KINDS:
            found = kinds.boxes(kind)
            for i, (ax, ay, aw, ah) in enumerate(found):
                for bx, by, bw, bh in found[:i]:
                    apart = ax >= bx + bw - 1e-6 or bx >= ax + aw - 1e-6 or ay >= by + bh - 1e-6 or by >= ay + ah - 1e-6
                    self.assertTrue(apart, kind.name)

    def test_two_rows_are_over_one_another(self):
        for kind in kinds.KINDS:
            ys = [y for _, y, _, _ in kinds.boxes(kind)]
            if kind.rows == 2:
                self.assertLess(min(ys) + 30, max(ys), kind.name)

    def test_what_is_drawn_can_be_read(self):
        for kind in kinds.KINDS:
            self.assertIn(kind.colour, alphabet.COLOURS)
            for sign in kind.pattern:
                self.assertTrue(set(kinds.SIGNS.get(sign, sign)) <= set(alphabet.SYMBOLS), kind.name)

    def test_every_kind_and_mark_of_the_standard_is_there(self):
        patterns = "".join(kind.pattern for kind in kinds.KINDS)
        for mark in alphabet.MARKS:
            self.assertIn(mark, patterns)
        self.assertEqual({kind.colour for kind in kinds.KINDS}, set(alphabet.COLOURS))
        self.assertEqual({kind.rows for kind in kinds.KINDS}, {1, 2})

    def test_no_province_is_drawn_more_often_than_another(self):
        self.assertEqual(set(collections.Counter(kinds.SIGNS["P"]).values()), {1})
        fixed = sum(k.share for k in kinds.KINDS if k.pattern[0] in alphabet.PROVINCES)
        # Only plates of Hong Kong and Macao name a province of their own.
        self.assertLess(fixed / sum(k.share for k in kinds.KINDS), 0.05)

    def test_serials_have_no_i_and_no_o(self):
        self.assertFalse(set("IO") & set(kinds.SIGNS["S"] + kinds.SIGNS["L"] + kinds.SIGNS["E"]))


class Dice:
    """As much of NumPy's generator as `layouts` asks for, from Python's own."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.random, self.uniform = self.dice.random, self.dice.uniform

    def integers(self, low, high=None):
        return self.dice.randrange(low) if high is None else self.dice.randrange(low, high)

    def choice(self, things, p=None):
        things = range(things) if isinstance(things, int) else things
        return self.dice.choices(things, p)[0]


class Layouts(unittest.TestCase):
    FOREIGN = [way for _, ways in layouts.FOREIGN for way in ways if way != "random"]

    def test_patterns_have_known_signs_only(self):
        known = set("DXW~-.:|/ ")
        for way in self.FOREIGN + list(layouts.NOTHING):
            self.assertTrue(way and set(way) <= known, way)
        for way in self.FOREIGN:
            self.assertFalse(set(way) & set("W:"), way)

    def test_every_foreign_plate_fits_into_the_slots(self):
        dice = Dice(1)
        for way in self.FOREIGN + [layouts.pattern(dice) for _ in range(2000)]:
            read = sum(way.count(sign) for sign in "DX")
            # At least four: what is shorter is not shown, and is on much that is no plate.
            self.assertTrue(4 <= read <= alphabet.SLOTS, way)

    def test_what_is_no_plate_is_not_a_foreign_plate_as_well(self):
        self.assertEqual(set(self.FOREIGN) & set(layouts.NOTHING), set())

    def test_a_layout_is_as_frequent_as_its_share_says(self):
        dice, count = Dice(2), 6000
        drawn = collections.Counter(layouts.pattern(dice) for _ in range(count))
        whole = sum(share for share, _ in layouts.FOREIGN)
        for share, ways in layouts.FOREIGN:
            if ways != ("random",):
                self.assertAlmostEqual(sum(drawn[way] for way in set(ways)) / count, share / whole, delta=0.04)

    def test_grounds_are_colours_that_the_reader_knows(self):
        for share, colour, *paint in layouts.GROUNDS:
            self.assertGreater(share, 0)
            self.assertIn(colour, alphabet.COLOURS)
            self.assertEqual([len(p) for p in paint], [3, 3, 3])

    def test_signs_stand_on_the_plate_and_in_order(self):
        dice = Dice(3)
        for way in self.FOREIGN * 3 + list(layouts.NOTHING):
            (width, height), signs, small, band = layouts.lay(way, dice)
            self.assertGreater(width, height)
            drawn = [(sign, box) for sign, box in signs if sign in "DXW~"]
            self.assertEqual("".join(sign for sign, _ in drawn), "".join(s for s in way if s in "DXW~"), way)
            self.assertLessEqual(len(signs), layouts.MANY, way)
            for _, (x, y, w, h) in drawn:
                self.assertTrue(w > 0 and h > 0 and x > -1e-6 and x + w < 1 + 1e-6 and 0 < y and y + h < 1, way)
            for (_, a), (_, b) in zip(drawn, drawn[1:]):
                below = b[1] > a[1] + a[3] * 0.5
                self.assertTrue(below or b[0] >= a[0] + a[2] - 1e-6, way)
            self.assertEqual(any(b[1] >= a[1] + a[3] for _, a in drawn for _, b in drawn), "/" in way, way)
            self.assertTrue(all(x > 0 and x + w < 1 and y > 0 and y + h < 1 for x, y, w, h in small), way)
            self.assertTrue(band is None or (band[1] == 0.0 and band[3] == 1.0), way)


@unittest.skipUnless(numpy, "numpy is not there")
class Drawn(unittest.TestCase):
    def test_texts_that_look_alike_are_made_of_letters_and_digits(self):
        from texts import ALIKE, PUZZLES

        self.assertEqual(PUZZLES.shape, (len(ALIKE), 4))
        self.assertTrue(set("".join(ALIKE)) <= set(alphabet.LETTERS + alphabet.DIGITS))

    def test_texts_follow_their_patterns_and_provinces_are_even(self):
        from texts import texts

        rng = numpy.random.default_rng(3)
        provinces = collections.Counter()
        for kind in kinds.KINDS:
            for row in texts(kind, 620, rng).tolist():
                text = alphabet.decode(row)
                self.assertEqual(len(text), len(kind.pattern))
                for symbol, sign in zip(text, kind.pattern):
                    self.assertIn(symbol, kinds.SIGNS.get(sign, sign))
                if kind.pattern[0] == "P":
                    provinces[text[0]] += 1
        share = [n / provinces.total() * 31 for n in provinces.values()]
        self.assertEqual(len(share), 31)
        self.assertTrue(0.85 < min(share) and max(share) < 1.15, share)


class Weights(unittest.TestCase):
    def test_the_card_names_the_file_that_is_there(self):
        card = (MODELS / "cards" / "plate-reader-kakou.md").read_text(encoding="utf-8")
        weights = (MODELS / "weights" / "plate-reader.onnx").read_bytes()
        self.assertEqual(re.findall(r"`([0-9a-f]{64})`", card), [hashlib.sha256(weights).hexdigest()])
        self.assertLess(len(weights), 3_000_000)
        # The file itself says how its output is read.
        self.assertIn(alphabet.SYMBOLS.encode(), weights)
        self.assertIn(",".join(alphabet.COLOURS).encode(), weights)


if __name__ == "__main__":
    unittest.main()
