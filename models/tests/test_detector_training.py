"""What the detector's training says about pictures: priors, layouts, geometry. Nothing is drawn and nothing trained."""

import ast
import hashlib
import re
import sys
import unittest
from pathlib import Path

MODELS = Path(__file__).resolve().parent.parent
TRAINING = MODELS / "train" / "detector"
sys.path.insert(0, str(TRAINING))
sys.dont_write_bytecode = True

try:
    import numpy
except ImportError:
    numpy = None


def constants(name):
    """Numbers at the top of a training file that could not be imported without PyTorch."""
    found = {}
    for line in ast.parse((TRAINING / name).read_text(encoding="utf-8")).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            try:
                found[line.targets[0].id] = ast.literal_eval(line.value)
            except ValueError:
                pass
    return found


class Contract(unittest.TestCase):
    """The card of kind `retina-plate` says what the agent expects; the training must not drift away from it."""

    def setUp(self):
        self.card = (MODELS / "cards" / "plate-detector.md").read_text(encoding="utf-8")
        self.retina = constants("retina.py")

    def test_priors_are_those_of_the_card(self):
        shown = re.findall(r"\((\d+), (\d+)\)", self.card)
        self.assertEqual([(float(a), float(b)) for a, b in shown], list(self.retina["SIZES"]))
        strides = re.search(r"each stride s of (\d+), (\d+), (\d+)", self.card).groups()
        self.assertEqual(tuple(map(int, strides)), self.retina["STRIDES"])

    def test_there_are_as_many_as_the_card_says(self):
        shown = re.findall(r"([\d,]+) for (\d+)x(\d+)", self.card)
        self.assertEqual(len(shown), 3)
        for count, width, height in shown:
            cells = sum(-(-int(height) // s) * -(-int(width) // s) for s in self.retina["STRIDES"])
            self.assertEqual(int(count.replace(",", "")), 2 * cells)

    def test_mean_and_variances_are_those_of_the_card(self):
        self.assertEqual(self.retina["VARIANCES"], (0.1, 0.2))
        self.assertIn("({:.0f}, {:.0f}, {:.0f})".format(*self.retina["MEAN"]), self.card)

    def test_our_network_has_the_strides_of_the_priors(self):
        # The first layer steps four pixels, as the public one's first three do; then the pairs.
        steps, found = 4, []
        for k, (_, stride) in enumerate(self.retina["PAIRS"]):
            steps *= stride if k >= self.retina["SKIPPED"] else 1
            if k in self.retina["TAKEN"]:
                found.append(steps)
        self.assertEqual(tuple(found), self.retina["STRIDES"])
        self.assertEqual(self.retina["OUTPUTS"], 2 * (4 + 2 + 8))

    def test_training_pictures_fit_every_stride(self):
        height, width = (int(v) for v in re.search(
            r"^HEIGHT, WIDTH = (\d+), (\d+)$", (TRAINING / "feed.py").read_text(encoding="utf-8"), re.M).groups())
        for stride in self.retina["STRIDES"]:
            self.assertEqual((height % stride, width % stride), (0, 0))


class Weights(unittest.TestCase):
    def test_the_card_names_the_file_that_is_there(self):
        card = (MODELS / "cards" / "plate-detector-kakou.md").read_text(encoding="utf-8")
        weights = (MODELS / "weights" / "plate-detector.onnx").read_bytes()
        self.assertEqual(re.findall(r"`([0-9a-f]{64})`", card), [hashlib.sha256(weights).hexdigest()])
        self.assertIn(f"{len(weights):,} bytes", card)
        self.assertLess(len(weights), 1_000_000)
        # The file itself says what it is.
        for part in (b"kakou.kind", b"retina-plate", b"kakou.licence", b"Apache-2.0"):
            self.assertIn(part, weights)


class Folder(unittest.TestCase):
    def test_the_readme_knows_every_file(self):
        readme = (TRAINING / "README.md").read_text(encoding="utf-8")
        for path in TRAINING.glob("*.py"):
            self.assertIn(f"`{path.name}`", readme)


@unittest.skipUnless(numpy, "numpy is not there")
class Layout(unittest.TestCase):
    WIDTH, HEIGHT, RATIO = 512, 384, 440 / 140

    def setUp(self):
        import layout

        self.layout, self.rng = layout, numpy.random.default_rng(7)

    def test_a_plate_seen_from_the_front_keeps_its_shape(self):
        matrix = self.layout.plane(self.rng, self.RATIO, (5, 6), upright=True)
        _, quad = self.layout.placed(self.rng, matrix, self.WIDTH, self.HEIGHT, 110, True)
        width, height = quad[1] - quad[0], quad[3] - quad[0]
        numpy.testing.assert_allclose(width, (110, 0), atol=1e-6)
        numpy.testing.assert_allclose(height, (0, 110 / self.RATIO), atol=1e-6)

    def test_a_plate_is_as_wide_as_asked_and_neither_mirrored_nor_folded(self):
        for _ in range(300):
            matrix = self.layout.plane(self.rng, self.RATIO, (2.2, 9))
            _, quad = self.layout.placed(self.rng, matrix, self.WIDTH, self.HEIGHT, 80, False)
            wide = (numpy.linalg.norm(quad[1] - quad[0]) + numpy.linalg.norm(quad[2] - quad[3])) / 2
            self.assertAlmostEqual(wide, 80, places=6)
            for k in range(4):
                (ax, ay), (bx, by) = quad[(k + 1) % 4] - quad[k], quad[(k + 2) % 4] - quad[(k + 1) % 4]
                self.assertGreater(ax * by - ay * bx, 0, "left top, right top, right bottom, left bottom")

    def test_boxes(self):
        inside, apart = self.layout.inside, self.layout.apart
        self.assertEqual(inside((0, 0, 10, 10), 100, 100), 1)
        self.assertEqual(inside((-5, 0, 5, 10), 100, 100), 0.5)
        self.assertEqual(inside((-20, 0, -10, 10), 100, 100), 0)
        self.assertTrue(apart((0, 0, 10, 10), [(14, 0, 20, 10)]))
        self.assertFalse(apart((0, 0, 10, 10), [(12, 0, 20, 10)]), "too near")

    def pictures(self, count, taken=()):
        ratios = numpy.array([self.RATIO, 2.0, self.RATIO, 2.0])
        return [self.layout.picture(self.rng, ratios, self.WIDTH, self.HEIGHT, taken) for _ in range(count)]

    def test_plates_do_not_overlap_each_other_nor_what_is_there(self):
        there = numpy.array([100.0, 100, 300, 200])
        for plan in self.pictures(200, [there]):
            boxes = [self.layout.bounds(q) for q in plan["quads"][plan["state"] > 0]]
            for k, box in enumerate(boxes):
                self.assertTrue(self.layout.apart(box, [there, *boxes[:k]]))

    def test_quads_are_where_the_planes_put_them_and_cut_plates_are_left_open(self):
        for plan in self.pictures(200):
            for matrix, quad, state in zip(plan["plate"], plan["quads"], plan["state"]):
                self.assertEqual(bool(matrix.any()), state > 0)
                if state:
                    numpy.testing.assert_allclose(self.layout.carry(matrix, self.layout.UNIT), quad)
                    part = self.layout.inside(self.layout.bounds(quad), self.WIDTH, self.HEIGHT)
                    self.assertGreater(part, 0.4)
                    self.assertEqual(state, 1 if part > 0.94 else 2)

    def test_vehicles_stand_round_plates_only_and_some_pictures_are_empty(self):
        plans = self.pictures(500)
        for plan in plans:
            self.assertFalse((plan["vehicle"] & (plan["state"][: self.layout.VEHICLES] == 0)).any())
        empty = sum(not plan["state"].any() for plan in plans) / len(plans)
        self.assertTrue(0.07 < empty < 0.2, empty)


if __name__ == "__main__":
    unittest.main()
