"""One way to make any vehicle: build it, hang its plate, fuse it, switch its lamps on."""
import math

import bpy

import cars
import heavies
import plates
from materials import get, picture
from shapes import box, fuse, link, mesh

CLASSES = {"sedan": "car", "suv": "car", "van": "car", "truck": "truck", "bus": "bus"}
# Middle of the plate: height and, for box-shaped vehicles, how far it stands off the nose or tail.
FRONT_HEIGHT = {"sedan": 0.45, "suv": 0.56, "van": 0.47, "truck": 0.47, "bus": 0.47}
REAR_HEIGHT = {"sedan": 0.59, "suv": 0.78, "van": 0.62, "truck": 0.62, "bus": 0.62}


class Vehicle:
    """A vehicle in the scene; `place` puts its nearest end at a distance from the camera."""

    def __init__(self, kind, colour, text, plate, folder, seed, leaving=False, lamps_on=False):
        self.kind, self.text, self.plate_colour, self.leaving = kind, text, plate, leaving
        module = cars if kind in cars.MODELS else heavies
        self.size = module.MODELS[kind]["size"]
        self.root, skin, cutters = module.build(kind, colour, lamps_on)
        self.plate = self._hang_plate(skin, folder, seed)
        keep = [o for o in (self.plate,) if o]
        for obj in keep:  # the plate stays its own object: its corners are the truth
            obj.parent = None
        self.body = fuse(self.root, kind + " body")
        for obj in keep:
            obj.parent = self.root
        for cutter in cutters:
            bpy.data.objects.remove(cutter)
        if leaving:
            self.root.rotation_euler = (0, 0, math.pi)
        self.lights = self._lights() if lamps_on else []

    def _hang_plate(self, skin, folder, seed):
        rows = 2 if self.leaving and self.plate_colour == "yellow" else 1
        width, height = (k / 1000 for k in plates.size(self.plate_colour or "blue", rows))
        side = "rear" if self.leaving else "front"
        z = (REAR_HEIGHT if self.leaving else FRONT_HEIGHT)[self.kind]
        if self.kind == "truck" and self.leaving:
            y = 6.30  # on the bar below the doors
        else:
            touch = [skin.at(side, (x, 0, z + dz))[1] for x in (-width / 2, 0, width / 2) for dz in (-0.05, 0, 0.05)]
            y = max(touch) + 0.03 if self.leaving else min(touch) - 0.03
            if self.kind in heavies.MODELS and not self.leaving:
                y = -0.11  # in front of the bumper
        # the frame; all there is on a vehicle without a plate
        depth = -0.012 if self.leaving else 0.012
        tilt = 0.04 if self.leaving else -0.04
        box((0, y + depth, z), (width + 0.03, 0.014, height + 0.025), get("trim"), self.root, 0.004, (tilt, 0, 0))
        if not self.text:
            return None
        image = plates.save(self.text, self.plate_colour, rows, folder, seed)
        x = -width / 2 if self.leaving else width / 2  # the reader's right
        corners = [(x, 0, -height / 2), (-x, 0, -height / 2), (-x, 0, height / 2), (x, 0, height / 2)]
        plate = mesh("plate", corners, [(0, 1, 2, 3)], [picture(image)], self.root, smooth=False)
        layer = plate.data.uv_layers.new()
        at = {0: (1, 0), 1: (0, 0), 2: (0, 1), 3: (1, 1)}
        for loop, slot in zip(plate.data.loops, layer.data):
            slot.uv = at[loop.vertex_index]
        plate.location, plate.rotation_euler = (0, y, z), (tilt, 0, 0)
        return plate

    def _lights(self):
        made = []
        half = self.size[0] / 2 - 0.42
        for side in (-1, 1):
            lamp = bpy.data.lights.new("head light", "SPOT")
            lamp.energy, lamp.color, lamp.spot_size, lamp.spot_blend = 120, (1, 0.92, 0.78), math.radians(70), 1.0
            lamp.shadow_soft_size = 0.06
            obj = link(bpy.data.objects.new("head light", lamp), self.root)
            obj.location = (side * half, -0.18, 0.68)
            obj.rotation_euler = (math.radians(82), 0, math.pi)  # ahead and a little down
            made.append(obj)
        return made

    def place(self, x, near):
        self.root.location = (x, near + (self.size[1] if self.leaving else 0), 0)

    def show(self, visible):
        for obj in [self.body, self.plate, *self.lights]:
            if obj:
                obj.hide_render = obj.hide_viewport = not visible

    def corners(self):
        """The eight corners of the box around the vehicle, in the world."""
        w, length, h = self.size
        x, y = self.root.location[:2]
        near = y - length if self.leaving else y
        return [(x + a * w / 2, near + b * length - 0.15 * (1 - 2 * b), c * h) for a in (-1, 1) for b in (0, 1) for c in (0, 1)]
