"""The characters as small pictures of ink, from which plates are put together: drawn, set in fonts, cut from plates.

GA 36's Chinese characters have strokes of one width in a tall box. A font stretched into that box has thick horizontal
and thin vertical strokes; so thin fonts are stretched first and given their weight afterwards.
"""

import functools
import pathlib

import cv2
import numpy
from PIL import Image, ImageDraw, ImageFont

import strokes
from alphabet import SYMBOLS

# Size of a character's picture.
TALL, BROAD = 80, 40

FONTS = "/usr/share/fonts/"
NOTO = FONTS + "opentype/noto/NotoSansCJK-"
# Package fonts-noto-cjk and -extra (OFL-1.1); the index 2 is Simplified Chinese.
THIN = [(NOTO + "Thin.ttc", 2), (NOTO + "Light.ttc", 2)]
HANZI = [
    (NOTO + "DemiLight.ttc", 2),
    (NOTO + "Regular.ttc", 2),
    (NOTO + "Medium.ttc", 2),
    (NOTO + "Bold.ttc", 2),
    (FONTS + "truetype/wqy/wqy-zenhei.ttc", 0),
    (FONTS + "truetype/wqy/wqy-microhei.ttc", 0),
    (FONTS + "truetype/droid/DroidSansFallbackFull.ttf", 0),
]
ROBOTO = FONTS + "truetype/roboto/unhinted/RobotoCondensed-"
LATIN = [
    (ROBOTO + "Bold.ttf", 0),
    (ROBOTO + "Medium.ttf", 0),
    (ROBOTO + "Regular.ttf", 0),
    (FONTS + "truetype/liberation2/LiberationSans-Bold.ttf", 0),
    (FONTS + "truetype/liberation2/LiberationSans-Regular.ttf", 0),
    (FONTS + "truetype/dejavu/DejaVuSansCondensed-Bold.ttf", 0),
    (FONTS + "truetype/roadgeek/RG2014D.ttf", 0),
    (FONTS + "truetype/open-sans/OpenSans-CondBold.ttf", 0),
    (FONTS + "opentype/urw-base35/NimbusSansNarrow-Bold.otf", 0),
    (FONTS + "opentype/urw-base35/NimbusSans-Bold.otf", 0),
]
# Faces for plates of other countries, besides those above.
NOTO_SANS = FONTS + "truetype/noto/NotoSans"
WORLD = LATIN + [
    (FONTS + "truetype/roadgeek/RG2014E.ttf", 0),
    (FONTS + "truetype/roadgeek/RG2014C.ttf", 0),
    (FONTS + "truetype/roboto/unhinted/Roboto-Bold.ttf", 0),
    (FONTS + "truetype/roboto/unhinted/Roboto-Medium.ttf", 0),
    (FONTS + "truetype/open-sans/OpenSans-Bold.ttf", 0),
    (FONTS + "truetype/dejavu/DejaVuSans-Bold.ttf", 0),
    (FONTS + "truetype/dejavu/DejaVuSansMono-Bold.ttf", 0),
    (FONTS + "truetype/liberation2/LiberationMono-Bold.ttf", 0),
    (FONTS + "truetype/liberation2/LiberationSerif-Bold.ttf", 0),
    (FONTS + "opentype/urw-base35/URWGothic-Demi.otf", 0),
    (FONTS + "opentype/urw-base35/NimbusMonoPS-Bold.otf", 0),
    (NOTO_SANS + "-Bold.ttf", 0),
    (NOTO_SANS + "-CondensedBold.ttf", 0),
]
# Characters of other scripts: none of them looks like one that the reader knows. Fonts of package fonts-noto-core
# (OFL-1.1) and of those above.
STRANGE = (
    ("가나다라마바사아자거너더러머버서어저고노도로모보소오조구누두루무부수우주하허호배", NOTO + "Bold.ttc", 1),
    ("あいうえかきくけこさすせそたちつてとなにぬねのはひふほまみむめもやゆよらりるれろわを", NOTO + "Medium.ttc", 0),
    ("กขคฆงจฉชซญฎฐฒณดตถทธนบปผพฟภมยรลวศษสหฬอฮ", NOTO_SANS + "Thai-Bold.ttf", 0),
    ("ກຂຄງຈຊຍດຕຖທນບປຜພຟມຢຣລວສຫອຮ", NOTO_SANS + "Lao-Bold.ttf", 0),
    ("ကခဂဃငစဆဇညတထဒနပဖဗမယလသဟအ", NOTO_SANS + "Myanmar-Bold.ttf", 0),
    ("БГДЖИЛПУФЦЧШЩЪЫЬЭЮЯӨҮ", NOTO_SANS + "-Bold.ttf", 0),
    ("កខគឃចឆជញដតថទនបផពភមយរលវសហអ", NOTO_SANS + "Khmer-Bold.ttf", 0),
    ("ابتجدرسصطعفقكلمنهوى", NOTO_SANS + "Arabic-Bold.ttf", 0),
)
# Widths of the drawn strokes, in units of a box 45 wide.
WEIGHTS = (7.0, 8.5, 10.0, 11.5, 13.0)


@functools.lru_cache(maxsize=4096)
def typeset(symbol, path, index):
    """The character in a font, cut to its outline."""
    font = ImageFont.truetype(path, 160, index=index)
    picture = Image.new("L", (420, 420), 0)
    ImageDraw.Draw(picture).text((120, 80), symbol, font=font, fill=255)
    return numpy.asarray(picture.crop(picture.getbbox()))


def boxed(glyph, narrow=False):
    """Stretched to the full box; a 1 stays narrow in the middle of it."""
    if narrow:
        width = max(int(glyph.shape[0] * 0.5), glyph.shape[1])
        wide = numpy.zeros((glyph.shape[0], width), numpy.uint8)
        left = (width - glyph.shape[1]) // 2
        wide[:, left : left + glyph.shape[1]] = glyph
        glyph = wide
    return cv2.resize(glyph, (BROAD, TALL), interpolation=cv2.INTER_AREA)


def weighted(glyph, weight):
    """A thin glyph stretched to the box, then drawn over with a round brush, so that all strokes are alike."""
    large = cv2.resize(glyph, (BROAD * 4, TALL * 4), interpolation=cv2.INTER_AREA)
    size = max(1, int(weight * 4 * BROAD / 45))
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    margin = size // 2
    large = cv2.copyMakeBorder(large, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
    return cv2.resize(cv2.dilate(large, brush), (BROAD, TALL), interpolation=cv2.INTER_AREA)


def is_latin(symbol):
    return ord(symbol) < 128


def plain(symbol):
    """One plain picture of the character: what `align` compares with."""
    if is_latin(symbol):
        return boxed(strokes.draw(symbol))
    return weighted(typeset(symbol, *THIN[1]), 3.0)


def made(symbol):
    """All pictures of a character that need no real plate."""
    found = []
    if is_latin(symbol):
        hands = len(strokes.SHAPES[symbol])
        for weight in WEIGHTS:
            for hand in range(hands):
                found.append(boxed(strokes.draw(symbol, weight, hand)))
        narrow = symbol in strokes.NARROW
        for path, index in LATIN:
            glyph = typeset(symbol, path, index)
            found.append(boxed(glyph, narrow and glyph.shape[1] < glyph.shape[0] * 0.4))
    else:
        for font in THIN:
            for weight in (2.0, 3.5, 5.0):
                found.append(weighted(typeset(symbol, *font), weight))
        for font in HANZI:
            found.append(boxed(typeset(symbol, *font)))
    return found


def there(font):
    return pathlib.Path(font[0]).exists()


def worldly(symbol):
    """A letter or digit in the faces of other countries' plates."""
    found = [typeset(symbol, *font) for font in WORLD if there(font)]
    narrow = lambda g: symbol in strokes.NARROW and g.shape[1] < g.shape[0] * 0.4
    return [boxed(g, narrow(g)) for g in found] + [boxed(strokes.draw(symbol, 8.5, 0))]


def strange():
    return [boxed(typeset(s, path, index)) for symbols, path, index in STRANGE if there((path,)) for s in symbols]


def shapes():
    """A full bar, and a dot."""
    y, x = numpy.mgrid[0:TALL, 0:BROAD]
    disc = ((x + 0.5) / BROAD - 0.5) ** 2 + ((y + 0.5) / TALL - 0.5) ** 2 < 0.24
    return numpy.full((TALL, BROAD), 255, numpy.uint8), (disc * 255).astype(numpy.uint8)


def contact_sheet(symbols=SYMBOLS):
    """All made characters side by side, to look at."""
    rows = [numpy.hstack([numpy.pad(g, 2) for g in made(s)[:13]]) for s in symbols]
    width = max(r.shape[1] for r in rows)
    return numpy.vstack([numpy.pad(r, ((0, 0), (0, width - r.shape[1]))) for r in rows])
