"""What is filmed: who drives where and when. Nothing here needs Blender.

Lengths are metres from the foot of the camera along the road, to the vehicle's nearest end; the picture shows the
road from about 9 to 24 m. All plate texts are made up.
"""

from dataclasses import dataclass

RATE = 10  # frames per second
CLASSES = {"sedan": "car", "suv": "car", "van": "car", "truck": "truck", "bus": "bus"}


@dataclass(frozen=True)
class Passage:
    kind: str  # sedan, suv, van, truck, bus
    paint: str
    lane: str
    text: str | None  # None: the vehicle carries no plate
    colour: str | None
    start: float  # metres at the first frame
    speed: float  # metres per second at the first frame, always positive
    legs: tuple = ()  # (seconds, acceleration) one after the other; the speed is kept afterwards

    def travelled(self, t):
        way, speed = 0.0, self.speed
        for seconds, acceleration in self.legs:
            dt = min(t, seconds)
            way += speed * dt + acceleration * dt * dt / 2
            speed = max(0.0, speed + acceleration * dt)
            if speed < 1e-6:
                speed = 0.0
            t -= dt
            if t <= 0:
                return way
        return way + speed * t


@dataclass(frozen=True)
class Sequence:
    name: str
    time: str  # of the first frame
    frames: int
    passages: tuple
    dusk: bool = False
    leaving: bool = False
    exposure: float = -0.35
    softness: float = 0.45  # of the lens, in pixels
    noise: float = 0.9  # standard deviation of the sensor noise, in grey levels
    quality: int = 73  # of the JPEG
    note: str = ""

    def near(self, passage, frame):
        way = passage.travelled(frame / RATE)
        return passage.start + way if self.leaving else passage.start - way


DAY = Sequence(
    name="day",
    time="2026-03-14T09:00:00.000+08:00",
    frames=155,
    note="lane 1: a queue, two vehicles stand for about four seconds; the second one carries no plate",
    passages=(
        Passage("sedan", "red", "1", "京N8P527", "blue", 15.0, 4.2),
        # stops at the line and stands for 4.4 s
        Passage(
            "sedan", "silver", "1", "鲁E6K829", "blue", 24.0, 5.0, ((1.2, 0), (3.2, -1.5625), (4.4, 0), (2.3, 1.9))
        ),
        # stops behind it and stands for 4.1 s
        Passage("suv", "white", "1", None, None, 33.8, 4.2, ((1.9, 0), (3.8, -1.10526), (4.1, 0), (2.3, 1.9))),
        Passage("sedan", "white", "2", "浙AD62983", "green", 20.0, 4.2),
        Passage("suv", "blue", "2", "苏C7W316", "blue", 31.0, 4.2),
        Passage("sedan", "black", "2", "粤B5T638", "blue", 41.5, 4.2),
        Passage("truck", "blue", "2", "皖K9H275", "yellow", 53.5, 4.2),
    ),
)

DUSK = Sequence(
    name="dusk",
    time="2026-03-14T18:40:00.000+08:00",
    frames=48,
    dusk=True,
    exposure=0.9,
    noise=1.7,
    note="sun down, head lights on, fill light at the camera",
    passages=(
        Passage("sedan", "grey", "1", "豫P3H792", "blue", 17.0, 4.4),
        Passage("suv", "white", "1", "沪AD53826", "green", 27.5, 4.4),
        Passage("truck", "red", "2", "苏F8L536", "yellow", 21.5, 4.2),
    ),
)

LEAVING = Sequence(
    name="leaving",
    time="2026-03-14T09:20:00.000+08:00",
    frames=32,
    leaving=True,
    note="seen from behind; the truck's plate has two rows",
    passages=(
        Passage("truck", "green", "2", "皖C3K528", "yellow", 7.2, 3.8),
        Passage("sedan", "silver", "1", "辽H4U836", "blue", 4.4, 4.2),
    ),
)

ALL = {s.name: s for s in (DAY, DUSK, LEAVING)}
