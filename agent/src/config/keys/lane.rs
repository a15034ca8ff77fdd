//! `[[camera.lane]]`: the traffic lanes in a camera's picture.

use kakou_contract::Direction;

use super::super::define::{Absent, Header, Required, Section, Setting, TakenUp, Words};
use super::super::kinds::{Choice, Id, Outline, Segment, Text};
use super::general::NONE;

pub static LANE: Section = Section {
    path: "camera.lane",
    header: Header::Repeated,
    doc: Words {
        en: "Once for each traffic lane of the camera above it. A vehicle that was never in a lane \
             is not recorded. Where lanes overlap, the first one counts.",
        zh: "写在所属摄像机之下，每条车道一节。从未进入任何车道的车辆不记录。车道重叠处以写在前面的为准。",
    },
    settings: &[&ID, &NAME, &POLYGON, &TRIGGER, &DIRECTION],
    sections: &[],
    mistaken: &[("points", "write `polygon`"), ("line", "write `trigger`")],
};

pub static ID: Setting<Id, Required> = Setting {
    name: "id",
    kind: Id,
    fallback: Required,
    example: Some("\"1\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The lane's name in the messages.",
        zh: "消息中的车道编号。",
    },
};

pub static NAME: Setting<Text, Absent> = Setting {
    name: "name",
    kind: Text,
    fallback: NONE,
    example: Some("\"left\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "A name for people, in any script.",
        zh: "便于阅读的名称，可用中文。",
    },
};

pub static POLYGON: Setting<Outline, Required> = Setting {
    name: "polygon",
    kind: Outline,
    fallback: Required,
    example: Some("[[0.1, 0.2], [0.5, 0.2], [0.5, 1.0], [0.0, 1.0]]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Where the wheels and plates of its vehicles are while they pass. `x` and `y` are parts \
             of the picture's width and height, from the top left.",
        zh: "车辆通过时车轮和号牌所在的区域。`x`、`y` 为占画面宽、高的比例，原点在左上角。",
    },
};

pub static TRIGGER: Setting<Segment, Absent> = Setting {
    name: "trigger",
    kind: Segment,
    fallback: Absent(Words {
        en: "the time of the best read, else of the last sighting",
        zh: "取最佳识别的时刻，否则取最后一次看到的时刻",
    }),
    example: Some("[[0.0, 0.7], [0.5, 0.7]]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "A line across the whole lane. The moment at which a vehicle crosses it is the time of \
             the passage.",
        zh: "横贯整条车道的线。车辆越过它的时刻即过车时间。",
    },
};

pub static DIRECTION: Setting<Choice<Direction>, Absent> = Setting {
    name: "direction",
    kind: Choice(&[
        ("approaching", Direction::Approaching),
        ("leaving", Direction::Leaving),
    ]),
    fallback: NONE,
    example: Some("\"approaching\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The lawful direction, as the camera sees it. A vehicle that clearly moves the other \
             way is marked `wrong_way`.",
        zh: "从摄像机看的合法行驶方向。明显逆向的车辆标记为 `wrong_way`。",
    },
};
