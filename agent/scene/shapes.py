"""Small building blocks: meshes from points, boxes, cylinders, tubes, and patches laid onto a curved body."""
import math

import bmesh
import bpy
from mathutils import Vector
from mathutils.bvhtree import BVHTree

# The way a part is thrown at a body to find where it touches: the front of a vehicle looks to -y.
THROW = {
    "front": Vector((0, 1, 0)),
    "rear": Vector((0, -1, 0)),
    "top": Vector((0, 0, -1)),
    "right": Vector((-1, 0, 0)),
    "left": Vector((1, 0, 0)),
}


def link(obj, parent=None):
    bpy.context.scene.collection.objects.link(obj)
    if parent:
        obj.parent = parent
    return obj


def empty(name):
    return link(bpy.data.objects.new(name, None))


def mesh(name, points, faces, materials, parent=None, face_materials=None, smooth=True, subdivide=0):
    data = bpy.data.meshes.new(name)
    data.from_pydata([tuple(p) for p in points], [], faces)
    data.validate()
    for material in materials:
        data.materials.append(material)
    for i, polygon in enumerate(data.polygons):
        polygon.use_smooth = smooth
        if face_materials:
            polygon.material_index = face_materials[i]
    shape = bmesh.new()
    shape.from_mesh(data)
    bmesh.ops.recalc_face_normals(shape, faces=shape.faces)
    shape.to_mesh(data)
    shape.free()
    obj = link(bpy.data.objects.new(name, data), parent)
    if subdivide:
        modifier = obj.modifiers.new("subdivide", "SUBSURF")
        modifier.levels = modifier.render_levels = subdivide
    return obj


def bevel(obj, width, segments=3, angle=None):
    modifier = obj.modifiers.new("bevel", "BEVEL")
    modifier.width, modifier.segments = width, segments
    if angle is None:
        modifier.limit_method = "NONE"
    else:
        modifier.limit_method, modifier.angle_limit = "ANGLE", angle
    return obj


def box(centre, extent, material, parent=None, round_edge=0.02, rotation=(0, 0, 0)):
    x, y, z = (k / 2 for k in extent)
    points = [(a * x, b * y, c * z) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    obj = mesh("box", points, faces, [material], parent)
    obj.location, obj.rotation_euler = centre, rotation
    return bevel(obj, round_edge) if round_edge else obj


def cylinder(centre, radius, length, material, axis="x", parent=None, sides=40, end_radius=None, round_edge=0):
    end_radius = radius if end_radius is None else end_radius
    points, faces = [], []
    for i in range(sides):
        angle = 2 * math.pi * i / sides
        for r, t in ((radius, -length / 2), (end_radius, length / 2)):
            u, v = r * math.cos(angle), r * math.sin(angle)
            points.append({"x": (t, u, v), "y": (u, t, v), "z": (u, v, t)}[axis])
    for i in range(sides):
        j = (i + 1) % sides
        faces.append((2 * i, 2 * j, 2 * j + 1, 2 * i + 1))
    faces += [tuple(range(0, 2 * sides, 2))[::-1], tuple(range(1, 2 * sides, 2))]
    obj = mesh("cylinder", points, faces, [material], parent)
    obj.location = centre
    if round_edge:
        return bevel(obj, round_edge, angle=0.6)
    obj.modifiers.new("edge", "EDGE_SPLIT").split_angle = 0.6
    return obj


def ball(centre, radii, material, parent=None, sides=20):
    points, faces, rings = [], [], sides // 2
    for i in range(rings + 1):
        t = math.pi * i / rings
        for j in range(sides):
            p = 2 * math.pi * j / sides
            points.append((radii[0] * math.sin(t) * math.cos(p), radii[1] * math.sin(t) * math.sin(p), radii[2] * math.cos(t)))
    for i in range(rings):
        for j in range(sides):
            k = (j + 1) % sides
            faces.append((i * sides + j, (i + 1) * sides + j, (i + 1) * sides + k, i * sides + k))
    obj = mesh("ball", points, faces, [material], parent)
    obj.location = centre
    return obj


def tube(points, radius, material, parent=None, closed=False):
    curve = bpy.data.curves.new("tube", "CURVE")
    curve.dimensions, curve.bevel_depth, curve.bevel_resolution = "3D", radius, 1
    spline = curve.splines.new("POLY")
    spline.points.add(len(points) - 1)
    for slot, point in zip(spline.points, points):
        slot.co = (*point, 1)
    spline.use_cyclic_u = closed
    curve.materials.append(material)
    return link(bpy.data.objects.new("tube", curve), parent)


class Surface:
    """A finished body that lamps, grilles and gaps are laid onto."""

    def __init__(self, obj):
        graph = bpy.context.evaluated_depsgraph_get()
        graph.update()
        solid = obj.evaluated_get(graph)
        data = solid.to_mesh()
        self.tree = BVHTree.FromPolygons([v.co.copy() for v in data.vertices], [tuple(p.vertices) for p in data.polygons])
        solid.to_mesh_clear()

    def at(self, side, point, lift=0.0):
        """Where the body is hit from a side, lifted off it a little; the point itself where it is missed."""
        way = THROW[side]
        hit, normal, _, _ = self.tree.ray_cast(Vector(point) - way * 30, way)
        if hit is None:
            return Vector(point)
        return hit + (normal if normal.dot(way) < 0 else -normal) * lift

    def patch(self, side, x0, x1, bottom, top, material, parent, lift=0.004, across=24, up=8):
        """A thin plate that follows the body between two heights, each given over 0..1 from x0 to x1."""
        points, faces = [], []
        for i in range(across + 1):
            u = i / across
            low, high = bottom(u), top(u)
            points += [self.at(side, (x0 + (x1 - x0) * u, 0, low + (high - low) * j / up), lift) for j in range(up + 1)]
        for i in range(across):
            for j in range(up):
                a = i * (up + 1) + j
                faces.append((a, a + up + 1, a + up + 2, a + 1))
        obj = mesh("patch", points, faces, [material], parent)
        solid = obj.modifiers.new("thick", "SOLIDIFY")
        solid.thickness, solid.offset = 0.012, -1
        return obj

    def outline(self, side, x0, x1, bottom, top, material, parent, radius=0.008, lift=0.004, steps=24):
        over = [self.at(side, (x0 + (x1 - x0) * i / steps, 0, top(i / steps)), lift) for i in range(steps + 1)]
        under = [self.at(side, (x0 + (x1 - x0) * i / steps, 0, bottom(i / steps)), lift) for i in range(steps, -1, -1)]
        return tube(over + under, radius, material, parent, closed=True)

    def line(self, side, points, radius, material, parent, lift=0.0):
        return tube([self.at(side, p, lift) for p in points], radius, material, parent)


def fuse(root, name):
    """Make one mesh of everything below an empty: moving one object per frame is what keeps a frame cheap."""
    bpy.ops.object.select_all(action="DESELECT")
    parts = [o for o in root.children if o.type in ("MESH", "CURVE")]
    for part in parts:
        part.select_set(True)
    bpy.context.view_layer.objects.active = parts[0]
    bpy.ops.object.convert(target="MESH")
    bpy.ops.object.join()
    body = bpy.context.view_layer.objects.active
    body.name = name
    return body
