"""The checkpoint: two lanes between concrete barriers, a guard booth, the camera above, and the light of day or dusk."""
import math
import random

import bpy
from mathutils import Vector

from materials import get, principled
from shapes import ball, bevel, box, cylinder, link, mesh

LANES = {"1": -1.65, "2": 1.65}  # middle of each lane
CAMERA_HEIGHT = 5.0
PITCH = 20.0  # degrees below the horizon
FOCAL = 2450.0  # pixels at a width of 1280
WIDTH, HEIGHT = 1280, 720
# Towards the sun by day, from the Nishita sky's elevation and rotation: left behind the camera.
SUN_ELEVATION, SUN_ROTATION = math.radians(42), math.radians(215)
SUN = Vector((math.sin(SUN_ROTATION) * math.cos(SUN_ELEVATION), math.cos(SUN_ROTATION) * math.cos(SUN_ELEVATION), math.sin(SUN_ELEVATION)))


def math_node(tree, operation, a, b):
    node = tree.nodes.new("ShaderNodeMath")
    node.operation = operation
    for slot, value in zip(node.inputs, (a, b)):
        if isinstance(value, (int, float)):
            slot.default_value = value
        else:
            tree.links.new(value, slot)
    return node.outputs[0]


def asphalt():
    """Grains, patches, wheel tracks along the lanes, and a net of cracks.

    Most of the picture is road, so this material is what a frame costs: two octaves of noise and no relief make it
    a third cheaper and look the same from above.
    """
    material = principled("asphalt", (0.05, 0.05, 0.05), 0.82)
    tree = material.node_tree
    shader, where = tree.nodes["Principled BSDF"], tree.nodes.new("ShaderNodeTexCoord").outputs["Object"]

    def noise(scale, stretch=(1, 1, 1)):
        node, mapping = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeMapping")
        node.noise_dimensions = "2D"
        node.inputs["Scale"].default_value, node.inputs["Detail"].default_value = scale, 2
        mapping.inputs["Scale"].default_value = stretch
        tree.links.new(where, mapping.inputs["Vector"])
        tree.links.new(mapping.outputs[0], node.inputs["Vector"])
        return node

    def voronoi(scale, feature, source):
        node = tree.nodes.new("ShaderNodeTexVoronoi")
        node.voronoi_dimensions, node.feature, node.inputs["Scale"].default_value = "2D", feature, scale
        tree.links.new(source, node.inputs["Vector"])
        return node.outputs["Distance"]

    shade = math_node(tree, "MULTIPLY", voronoi(90, "F1", where), 0.06)
    uneven = noise(3)
    for source, share in ((noise(0.5).outputs["Fac"], 0.05), (noise(1, (2.2, 0.06, 1)).outputs["Fac"], 0.07), (uneven.outputs["Fac"], 0.06)):
        shade = math_node(tree, "ADD", shade, math_node(tree, "MULTIPLY", source, share))
    shade = math_node(tree, "MULTIPLY", math_node(tree, "ADD", shade, -0.015), 0.8)

    bend = tree.nodes.new("ShaderNodeVectorMath")
    bend.operation, bend.inputs[1].default_value = "MULTIPLY_ADD", (0.5, 0.5, 0)
    tree.links.new(uneven.outputs["Color"], bend.inputs[0])
    tree.links.new(where, bend.inputs[2])
    whole = math_node(tree, "GREATER_THAN", voronoi(0.16, "DISTANCE_TO_EDGE", bend.outputs[0]), 0.0016)
    shade = math_node(tree, "MULTIPLY", shade, math_node(tree, "ADD", math_node(tree, "MULTIPLY", whole, 0.4), 0.6))

    tree.links.new(shade, shader.inputs["Base Color"])
    return material


def worn_paint(name, colour):
    """Road paint with flakes missing."""
    material = principled(name, colour, 0.6)
    tree = material.node_tree
    where, noise, spread = (tree.nodes.new(k) for k in ("ShaderNodeTexCoord", "ShaderNodeTexNoise", "ShaderNodeMapRange"))
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 9, 9
    spread.inputs["From Min"].default_value, spread.inputs["From Max"].default_value = 0.36, 0.46
    tree.links.new(where.outputs["Object"], noise.inputs["Vector"])
    tree.links.new(noise.outputs["Fac"], spread.inputs["Value"])
    tree.links.new(spread.outputs[0], tree.nodes["Principled BSDF"].inputs["Alpha"])
    return material


def flat(x0, x1, y0, y1, z, material):
    mesh("flat", [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], [(0, 1, 2, 3)], [material], smooth=False)


def road():
    flat(-5, 5, -5, 90, 0, asphalt())
    white, yellow = worn_paint("white line", (0.62, 0.62, 0.6)), worn_paint("yellow line", (0.62, 0.40, 0.05))
    for y in range(-4, 90, 6):
        flat(-0.075, 0.075, y + 1.2, y + 4.2, 0.003, white)
    flat(-3.45, -3.30, -5, 90, 0.003, yellow)
    flat(3.30, 3.45, -5, 90, 0.003, white)
    for x0, x1 in ((-3.2, -0.2), (0.2, 3.2)):
        flat(x0, x1, 9.2, 9.55, 0.003, white)  # stop line
    profile = [(-0.30, 0), (-0.30, 0.08), (-0.12, 0.34), (-0.09, 0.81), (0.09, 0.81), (0.12, 0.34), (0.30, 0.08), (0.30, 0)]
    n = len(profile)
    for side in (-1, 1):
        for i in range(24):
            y = -4 + 3.0 * i
            points = [(side * 4.1 + x, yy, z) for yy in (y + 0.02, y + 2.98) for x, z in profile]
            faces = [tuple(range(n)), tuple(range(2 * n - 1, n - 1, -1))] + [(k, (k + 1) % n, n + (k + 1) % n, n + k) for k in range(n)]
            bevel(mesh("barrier", points, faces, [get("concrete")], smooth=False), 0.015, 2, angle=0.6)
        near, far = sorted((side * 5, side * 60))
        flat(near, far, -5, 90, -0.01, get("paving" if side > 0 else "grass"))
    flat(-200, 200, -200, 200, -0.05, get("paving"))


def furniture():
    for x, y in ((3.62, 12.2), (3.62, 14.4), (-3.65, 13.5)):
        cylinder((x, y, 0.37), 0.15, 0.68, get("cone"), "z", None, 32, end_radius=0.03)
        cylinder((x, y, 0.40), 0.128, 0.14, get("white paint"), "z", None, 32, end_radius=0.103)
        box((x, y, 0.02), (0.38, 0.38, 0.04), get("cone"), None, 0.01)
    box((6.0, 19, 1.3), (1.9, 2.4, 2.6), get("booth"), None, 0.05)
    box((6.0, 17.79, 1.6), (1.5, 0.05, 1.0), get("windscreen"), None, 0.01)
    box((6.0, 19, 2.7), (2.4, 2.9, 0.15), get("white paint"), None, 0.03)
    for y in (16, 28):
        cylinder((4.75, y, 2.2), 0.06, 4.4, get("alloy"), "z", None, 24)
    # trees and houses around, mostly for what the paint and the windscreens reflect
    dice = random.Random(3)
    for _ in range(26):
        side = dice.choice((-1, 1))
        r = dice.uniform(1.5, 3)
        ball((side * dice.uniform(9, 20), dice.uniform(-40, 60), dice.uniform(2, 4)), (r, r, dice.uniform(2, 4)), get("foliage"), None, 16)
    for _ in range(8):
        box((dice.choice((-1, 1)) * dice.uniform(20, 40), -30 - dice.uniform(0, 30), 6), (12, 10, dice.uniform(8, 22)), get("house"), None, 0.05)


def sky(dusk):
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    tree = world.node_tree
    node, ground = tree.nodes.new("ShaderNodeTexSky"), tree.nodes["Background"]
    node.sky_type = "NISHITA"
    node.sun_rotation = SUN_ROTATION
    node.sun_size = math.radians(1.2)
    node.sun_intensity = 0.45
    node.air_density, node.dust_density = 1.2, 2.5
    if dusk:  # the sun is just gone; a warm rim behind the camera, blue above
        node.sun_disc = False
        node.sun_elevation = math.radians(1.0)
        ground.inputs["Strength"].default_value = 0.42
        # the checkpoint's own fill light, beside the camera
        lamp = bpy.data.lights.new("fill", "AREA")
        lamp.energy, lamp.color, lamp.size = 260, (1.0, 0.95, 0.88), 0.6
        obj = link(bpy.data.objects.new("fill", lamp))
        obj.location = (0, 0.5, 5.6)
        obj.rotation_euler = (math.radians(65), 0, 0)
    else:
        node.sun_elevation = SUN_ELEVATION
        ground.inputs["Strength"].default_value = 0.17
    tint = tree.nodes.new("ShaderNodeVectorMath")
    tint.operation, tint.inputs[1].default_value = "MULTIPLY", (0.78, 0.95, 1.30) if dusk else (1, 1, 1)
    tree.links.new(node.outputs[0], tint.inputs[0])
    tree.links.new(tint.outputs[0], ground.inputs["Color"])


def camera():
    data = bpy.data.cameras.new("camera")
    obj = link(bpy.data.objects.new("camera", data))
    obj.location = (0, 0, CAMERA_HEIGHT)
    obj.rotation_euler = (math.radians(90 - PITCH), 0, 0)
    data.sensor_width, data.lens = 36, 36 * FOCAL / WIDTH
    bpy.context.scene.camera = obj


def project(point):
    """A point of the world in pixels, from the upper left corner."""
    pitch = math.radians(PITCH)
    x, y, z = point[0], point[1], point[2] - CAMERA_HEIGHT
    depth = y * math.cos(pitch) - z * math.sin(pitch)
    down = -y * math.sin(pitch) - z * math.cos(pitch)
    depth = max(depth, 0.1)
    return WIDTH / 2 + FOCAL * x / depth, HEIGHT / 2 + FOCAL * down / depth


def build(dusk=False):
    road()
    furniture()
    sky(dusk)
    camera()
