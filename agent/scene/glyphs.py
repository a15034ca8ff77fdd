"""Draws the glyphs that annotated evidence pictures are labelled with: agent/src/evidence/glyphs.png.

Usage: python3 glyphs.py OUT.png   (needs Pillow and Debian's fonts-noto-cjk)

The fonts are the SIL Open Font Licence's Noto Sans CJK; only rendered pictures of a few characters are kept, so
that a box needs no font installed. The text is the same as GLYPHS in agent/src/evidence/draw.rs.
"""

import sys

from PIL import Image, ImageDraw, ImageFont

GLYPHS = (
    " !#%()+,-./0123456789:?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz·—"
    "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新学警挂领使港澳临"
)
CELL = 24


def main(out):
    cjk = ImageFont.truetype("NotoSansCJK-Bold.ttc", 21, index=2)
    mono = ImageFont.truetype("NotoSansCJK-Bold.ttc", 20, index=7)
    sheet = Image.new("L", (CELL * len(GLYPHS), CELL), 0)
    draw = ImageDraw.Draw(sheet)
    for i, ch in enumerate(GLYPHS):
        narrow = ch.isascii() or ch == "·"
        width = CELL // 2 if narrow else CELL
        draw.text((i * CELL + width / 2, 20), ch, font=mono if narrow else cjk, fill=255, anchor="ms")
    sheet.save(out, optimize=True)


main(sys.argv[1])
