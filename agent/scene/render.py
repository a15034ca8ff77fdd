"""Render a sequence: python render.py --sequence day --work DIR [--first N --last N --every N]

Writes DIR/background.png, DIR/NNNNNN-K.png (only the parts of the picture where something moves) and DIR/NNNNNN.json
(where those parts belong, the vehicles' boxes, the plates' corners). compose.py makes the footage of it.
"""
import argparse
import json
import math
import time
from pathlib import Path

import bpy
from mathutils import Vector

import world
from sequences import ALL
from vehicles import Vehicle

ASIDE = 500.0  # where a vehicle waits while it is out of the picture
SPARE = 20000  # pixels that rendering one part more costs about as much as
FEATHER = 8  # pixels rendered around what moves, for compose.py to blend


def settings(sequence, samples, threads):
    scene = bpy.context.scene
    render, cycles, view = scene.render, scene.cycles, scene.view_settings
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = world.WIDTH, world.HEIGHT, 100
    render.threads_mode, render.threads = "FIXED", threads
    render.use_persistent_data = True  # keeps the scene between frames
    view.view_transform, view.look, view.exposure = "Filmic", "Medium High Contrast", sequence.exposure
    cycles.device, cycles.samples = "CPU", samples
    cycles.use_adaptive_sampling, cycles.use_light_tree = False, False  # both cost more than they save here
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transparent_max_bounces = 3, 1, 2, 8
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4
    cycles.use_denoising, cycles.denoiser, cycles.denoising_prefilter = True, "OPENIMAGEDENOISE", "FAST"


def write(path):
    bpy.context.scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def pixel_box(points):
    """The box around projected points, cut to the picture, or None."""
    spots = [world.project(p) for p in points]
    x0, x1 = max(0, min(x for x, _ in spots)), min(world.WIDTH, max(x for x, _ in spots))
    y0, y1 = max(0, min(y for _, y in spots)), min(world.HEIGHT, max(y for _, y in spots))
    return [x0, y0, x1, y1] if x1 - x0 > 4 and y1 - y0 > 4 else None


def touched(vehicle, dusk):
    """The part of the picture that a vehicle changes: itself, its shadow, and at dusk its beams."""
    points = vehicle.corners()
    if dusk:
        x, y = vehicle.root.location[:2]
        points += [(x + a, y - b, 0) for a in (-4.5, 4.5) for b in (-1, 9)]
    else:
        points += [tuple(Vector(p) - world.SUN * (p[2] / world.SUN.z)) for p in points]
    return pixel_box(points)


def set_border(box):
    """Render only a box of pixels; gives the box in whole pixels."""
    render = bpy.context.scene.render
    x0, y0 = max(0, math.floor(box[0]) - FEATHER), max(0, math.floor(box[1]) - FEATHER)
    x1, y1 = min(world.WIDTH, math.ceil(box[2]) + FEATHER), min(world.HEIGHT, math.ceil(box[3]) + FEATHER)
    render.use_border = render.use_crop_to_border = True
    # Blender counts from the bottom; the small shift keeps rounding from losing a row
    render.border_min_x, render.border_max_x = (x0 + 0.01) / world.WIDTH, (x1 + 0.01) / world.WIDTH
    render.border_min_y, render.border_max_y = (world.HEIGHT - y1 + 0.01) / world.HEIGHT, (world.HEIGHT - y0 + 0.01) / world.HEIGHT
    return [x0, y0, x1, y1]


def plate_truth(vehicle):
    """The plate's corners in the picture and whether it is seen: whole, unhidden and at least 60 pixels wide."""
    matrix = vehicle.root.matrix_world @ vehicle.plate.matrix_basis
    corners = [matrix @ v.co for v in vehicle.plate.data.vertices]
    quad = [world.project(c) for c in corners]
    inside = all(0 <= x < world.WIDTH and 0 <= y < world.HEIGHT for x, y in quad)
    width = (math.dist(quad[0], quad[1]) + math.dist(quad[2], quad[3])) / 2
    seen = inside and width >= 60
    if seen:  # a ray from the camera to each corner and to the middle must arrive
        scene, graph = bpy.context.scene, bpy.context.evaluated_depsgraph_get()
        eye, middle = Vector((0, 0, world.CAMERA_HEIGHT)), sum(corners, Vector()) / 4
        for target in [middle] + [c.lerp(middle, 0.05) for c in corners]:
            way = target - eye
            hit, place, *_ = scene.ray_cast(graph, eye, way.normalized(), distance=way.length + 0.1)
            if hit and (place - eye).length < way.length - 0.02:
                seen = False
    return {"text": vehicle.text, "colour": vehicle.plate_colour, "width": round(width, 1), "seen": seen,
            "quad": [[round(x, 1), round(y, 1)] for x, y in quad]}


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def join(boxes):
    """Put boxes together as long as that costs less than rendering them one by one."""
    boxes = list(boxes)
    for i in range(len(boxes)):
        for j in range(i + 1, len(boxes)):
            a, b = boxes[i], boxes[j]
            both = [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]
            if area(both) <= area(a) + area(b) + SPARE:
                return join([both] + [boxes[k] for k in range(len(boxes)) if k not in (i, j)])
    return boxes


def place_all(sequence, fleet, frame, before):
    """Move everything to where it is in a frame and say what of the picture that touches.

    What stood still since the frame before, if that was rendered, is kept from it and listed apart.
    """
    moving, kept = [], []
    for number, (passage, vehicle) in enumerate(zip(sequence.passages, fleet)):
        near = sequence.near(passage, frame)
        sway = 0.03 * math.sin(near * 0.25 + number)  # nobody drives on a ruler
        vehicle.place(world.LANES[passage.lane] + sway, near)
        bpy.context.view_layer.update()
        box = touched(vehicle, sequence.dusk)
        if box and near + vehicle.size[1] > 2 and near < 40:
            stood = before is not None and abs(near - sequence.near(passage, before)) < 1e-6
            (kept if stood else moving).append(box)
        else:
            vehicle.place(0, ASIDE)
    bpy.context.view_layer.update()
    return moving, kept


def truth(sequence, fleet):
    vehicles, plates = [], []
    for number, vehicle in enumerate(fleet):
        if vehicle.root.location.y > ASIDE / 2:
            continue
        box = pixel_box(vehicle.corners())
        if box:
            vehicles.append({"passage": number, "box": [round(k, 1) for k in box]})
        if vehicle.plate:
            plates.append({"passage": number, **plate_truth(vehicle)})
    return vehicles, plates


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sequence", choices=ALL, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int)
    parser.add_argument("--every", type=int, default=1, help="for previews: only every Nth frame")
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--background-samples", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    sequence = ALL[options.sequence]
    options.work.mkdir(parents=True, exist_ok=True)

    bpy.ops.wm.read_factory_settings(use_empty=True)
    world.build(sequence.dusk)
    fleet = [Vehicle(p.kind, p.paint, p.text, p.colour, options.work, number, sequence.leaving, sequence.dusk)
             for number, p in enumerate(sequence.passages)]
    settings(sequence, options.samples, options.threads)

    background = options.work / "background.png"
    if not background.exists():
        for vehicle in fleet:
            vehicle.place(0, ASIDE)
        bpy.context.scene.cycles.samples = options.background_samples
        write(background)
        bpy.context.scene.cycles.samples = options.samples

    last = sequence.frames - 1 if options.last is None else options.last
    before = None
    for frame in range(options.first, last + 1, options.every):
        started, name = time.monotonic(), f"{frame:06d}"
        moving, kept = place_all(sequence, fleet, frame, before)
        vehicles, plates = truth(sequence, fleet)
        parts = []
        for number, box in enumerate(join(moving)):
            parts.append({"file": f"{name}-{number}.png", "box": set_border(box)})
            write(options.work / parts[-1]["file"])
        record = {"frame": frame, "before": before, "parts": parts, "kept": kept, "vehicles": vehicles, "plates": plates}
        (options.work / f"{name}.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
        print(f"frame {frame}: {time.monotonic() - started:.1f} s {[p['box'] for p in parts]}", flush=True)
        before = frame


if __name__ == "__main__":
    main()
