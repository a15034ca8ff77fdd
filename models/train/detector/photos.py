"""Collects photographs without plates out of Debian's package opencv-doc: things, streets, writing on walls and signs.

    apt-get download opencv-doc && dpkg-deb -x opencv-doc_*.deb opencv-doc
    python photos.py --examples opencv-doc/usr/share/doc/opencv-doc/examples --out FOLDER

The package is under Apache-2.0 and BSD-3-Clause; Debian took out what is not free. Pictures with cars are left out:
their plates have no truth.
"""

import argparse
import pathlib

import cv2

NAMES = (
    [f"data/{name}" for name in (
        "graf1.png", "rubberwhale1.png", "aloeL.jpg", "starry_night.jpg", "ela_original.jpg", "baboon.jpg",
        "basketball1.png", "board.jpg", "fruits.jpg", "building.jpg", "cards.png", "messi5.jpg", "squirrel_cls.jpg",
        "aero1.jpg", "aero3.jpg", "chicky_512.png", "stuff.jpg", "home.jpg", "left07.jpg", "right03.jpg",
        "smarties.png", "box_in_scene.png", "sudoku.png", "imageTextN.png", "text_defocus.jpg", "butterfly.jpg")]
    + [f"text/scenetext0{k}.jpg" for k in range(1, 7)]
    + [f"text/scenetext_segmented_word0{k}.jpg" for k in range(1, 6)]
    + ["reg/home.png", "hfs/data/000.jpg", "alphamat/input_images/plant.jpg", "dnn_superres/butterfly.png"]
)
# Films, and after how many frames the next one is taken.
FILMS = {"data/vtest.avi": 200, "data/tree.avi": 120}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        picture = cv2.imread(str(arguments.examples / name))
        if picture is not None:
            cv2.imwrite(str(arguments.out / (name.replace("/", "-").rsplit(".", 1)[0] + ".png")), picture)
    for name, every in FILMS.items():
        film, k = cv2.VideoCapture(str(arguments.examples / name)), 0
        while film.isOpened():
            going, picture = film.read()
            if not going:
                break
            if k % every == 0:
                cv2.imwrite(str(arguments.out / f"{pathlib.Path(name).stem}-{k:04}.png"), picture)
            k += 1
    print(len(list(arguments.out.iterdir())), "pictures")


if __name__ == "__main__":
    main()
