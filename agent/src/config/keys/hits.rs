//! `[hits]`: when a hit is told, and what is the same story.

use kakou_traffic::passage::PassageConfig;

use super::super::define::{Header, Is, Section, Setting, TakenUp, Words};
use super::super::kinds::{Integer, Number};

pub static HITS: Section = Section {
    path: "hits",
    header: Header::Once,
    doc: Words {
        en: "When a hit is told while its vehicle is still in sight. What is never that sure is \
             told when the vehicle has passed.",
        zh: "车辆尚在画面中时何时发出命中。始终达不到要求的，在车辆通过后发出。",
    },
    settings: &[&SURE_RED, &SURE_ORANGE, &SURE_YELLOW, &SURE_BLUE, &STORY_S],
    sections: &[],
    mistaken: &[],
};

macro_rules! sure {
    ($name:ident, $key:literal, $en:literal, $zh:literal) => {
        pub static $name: Setting<Number, Is<f32>> = Setting {
            name: $key,
            kind: Number {
                least: 0.5,
                most: 1.0,
                unit: "",
            },
            fallback: Is(|| PassageConfig::default().sure),
            example: None,
            taken_up: TakenUp::Reload,
            doc: Words { en: $en, zh: $zh },
        };
    };
}

sure!(
    SURE_RED,
    "sure_red",
    "A red hit is told from this probability on that the vehicle carries the listed plate.",
    "车辆悬挂所列号牌的概率达到此值即发出红色预警。"
);
sure!(
    SURE_ORANGE,
    "sure_orange",
    "The same for orange.",
    "同上，橙色预警。"
);
sure!(
    SURE_YELLOW,
    "sure_yellow",
    "The same for yellow.",
    "同上，黄色预警。"
);
sure!(
    SURE_BLUE,
    "sure_blue",
    "The same for blue.",
    "同上，蓝色预警。"
);

pub static STORY_S: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "story_s",
    kind: Integer {
        least: 0,
        most: 86_400,
        unit: "s",
    },
    fallback: Is(|| 300),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The same entry seen again within this time, by any camera of the box, belongs to the \
             hit that was told: it is sent as `again` under that hit's id.",
        zh: "同一名单条目在此时间内再次出现（不限摄像机）归入已发出的命中：以该命中的 id 发送 `again`。",
    },
};
