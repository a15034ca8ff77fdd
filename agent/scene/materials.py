"""Materials, each made once and kept by name."""
import bpy

_made = {}

PAINTS = {
    "silver": (0.45, 0.46, 0.48),
    "white": (0.74, 0.75, 0.76),
    "red": (0.30, 0.012, 0.015),
    "black": (0.012, 0.012, 0.014),
    "blue": (0.02, 0.07, 0.25),
    "grey": (0.10, 0.105, 0.115),
    "brown": (0.12, 0.06, 0.03),
    "green": (0.02, 0.10, 0.06),
}
METALLIC = ("silver", "grey", "blue", "brown")

# colour, roughness, metallic, coat, emission strength
SIMPLE = {
    "trim": ((0.012, 0.012, 0.013), 0.35, 0, 0, 0),
    "rubber": ((0.018, 0.018, 0.019), 0.85, 0, 0, 0),
    "dark": ((0.004, 0.004, 0.004), 0.7, 0, 0, 0),
    "chrome": ((0.75, 0.76, 0.78), 0.12, 1, 0, 0),
    "alloy": ((0.5, 0.51, 0.53), 0.28, 1, 0, 0),
    "reflector": ((0.55, 0.57, 0.6), 0.15, 0.9, 0, 0),
    "lamp housing": ((0.03, 0.032, 0.035), 0.12, 0.4, 1, 0),
    "day light": ((0.9, 0.9, 0.88), 0.2, 0, 0, 4),
    "head light": ((1.0, 0.93, 0.80), 0.2, 0, 0, 22),
    "tail light": ((0.45, 0.01, 0.01), 0.2, 0, 1, 0.25),
    "amber": ((0.8, 0.25, 0.02), 0.2, 0, 0, 0),
    "seat": ((0.035, 0.03, 0.028), 0.7, 0, 0, 0),
    "paper": ((0.8, 0.8, 0.75), 0.7, 0, 0, 0),
    "windscreen": ((0.015, 0.02, 0.022), 0.04, 0, 1, 0),
    "cargo": ((0.62, 0.63, 0.64), 0.5, 0.2, 0, 0),
    "concrete": ((0.33, 0.32, 0.30), 0.85, 0, 0, 0),
    "grass": ((0.05, 0.085, 0.02), 0.95, 0, 0, 0),
    "paving": ((0.26, 0.25, 0.23), 0.9, 0, 0, 0),
    "foliage": ((0.03, 0.06, 0.015), 0.9, 0, 0, 0),
    "cone": ((0.75, 0.13, 0.015), 0.5, 0, 0, 0),
    "white paint": ((0.75, 0.75, 0.73), 0.5, 0, 0, 0),
    "booth": ((0.10, 0.22, 0.45), 0.4, 0, 0, 0),
    "house": ((0.35, 0.33, 0.30), 0.8, 0, 0, 0),
}
GLASS = {"glass": (0.42, 0.47, 0.46), "tinted glass": (0.10, 0.11, 0.11), "lens": (0.9, 0.92, 0.93)}
ROUGHENED = {"concrete": (14, 0.4), "grass": (40, 1.0), "paving": (20, 0.5), "foliage": (8, 1.0)}  # noise scale, bump


def principled(name, colour, roughness=0.5, metallic=0.0, coat=0.0, emission=0.0):
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    sockets = material.node_tree.nodes["Principled BSDF"].inputs
    sockets["Base Color"].default_value = (*colour, 1)
    sockets["Roughness"].default_value = roughness
    sockets["Metallic"].default_value = metallic
    sockets["Coat Weight"].default_value = coat
    sockets["Coat Roughness"].default_value = 0.04
    if emission:
        sockets["Emission Color"].default_value = (*colour, 1)
        sockets["Emission Strength"].default_value = emission
    return material


def _glass(name, tint):
    """Thin glass: tinted transparency with a Fresnel reflection; real refraction would cost samples for nothing."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    out, mix = tree.nodes.new("ShaderNodeOutputMaterial"), tree.nodes.new("ShaderNodeMixShader")
    clear, gloss, fresnel = (tree.nodes.new(k) for k in ("ShaderNodeBsdfTransparent", "ShaderNodeBsdfGlossy", "ShaderNodeFresnel"))
    clear.inputs["Color"].default_value = (*tint, 1)
    gloss.inputs["Roughness"].default_value = 0.02
    for a, b in ((fresnel.outputs[0], mix.inputs[0]), (clear.outputs[0], mix.inputs[1]), (gloss.outputs[0], mix.inputs[2]), (mix.outputs[0], out.inputs["Surface"])):
        tree.links.new(a, b)
    return material


def _roughen(material, scale, bump):
    tree = material.node_tree
    shader = tree.nodes["Principled BSDF"]
    where, noise, relief = (tree.nodes.new(k) for k in ("ShaderNodeTexCoord", "ShaderNodeTexNoise", "ShaderNodeBump"))
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = scale, 6
    relief.inputs["Strength"].default_value, relief.inputs["Distance"].default_value = bump, 0.01
    tree.links.new(where.outputs["Object"], noise.inputs["Vector"])
    tree.links.new(noise.outputs["Fac"], relief.inputs["Height"])
    tree.links.new(relief.outputs["Normal"], shader.inputs["Normal"])


def get(name):
    """A material of the tables above."""
    if name not in _made:
        if name in GLASS:
            _made[name] = _glass(name, GLASS[name])
        else:
            _made[name] = principled(name, *SIMPLE[name])
            if name in ROUGHENED:
                _roughen(_made[name], *ROUGHENED[name])
    return _made[name]


def paint(name):
    """Car paint under a clear coat."""
    key = "paint " + name
    if key not in _made:
        _made[key] = principled(key, PAINTS[name], 0.38, 0.55 if name in METALLIC else 0.05, 1.0)
    return _made[key]


def picture(path):
    """A material showing a picture, for plates."""
    material = principled(str(path), (1, 1, 1), 0.45)
    tree = material.node_tree
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load(str(path))
    texture.extension = "EXTEND"
    tree.links.new(texture.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
    return material
