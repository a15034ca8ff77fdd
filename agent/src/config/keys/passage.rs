//! `[passage]` and `[evidence]`: when a vehicle has gone, and what is kept of its passage.

use kakou_traffic::passage::PassageConfig;
use kakou_traffic::track::TrackConfig;

use super::super::define::{Header, Is, Section, Setting, TakenUp, Words};
use super::super::kinds::{Integer, Number};

pub static PASSAGE: Section = Section {
    path: "passage",
    header: Header::Once,
    doc: Words {
        en: "When a vehicle has gone.",
        zh: "如何判定车辆已经离开。",
    },
    settings: &[&LOST_AFTER_S, &STANDING_LOST_AFTER_S, &REJOIN_S],
    sections: &[],
    mistaken: &[],
};

pub static LOST_AFTER_S: Setting<Number, Is<f32>> = Setting {
    name: "lost_after_s",
    kind: Number {
        least: 0.2,
        most: 60.0,
        unit: "s",
    },
    fallback: Is(|| TrackConfig::default().lost_after.as_secs_f32()),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "A moving vehicle that is out of sight for this long has gone.",
        zh: "行驶中的车辆从画面中消失这么久，即视为已离开。",
    },
};

pub static STANDING_LOST_AFTER_S: Setting<Number, Is<f32>> = Setting {
    name: "standing_lost_after_s",
    kind: Number {
        least: 0.2,
        most: 600.0,
        unit: "s",
    },
    fallback: Is(|| TrackConfig::default().standing_lost_after.as_secs_f32()),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The same for a standing vehicle, which others may hide. At least `lost_after_s`.",
        zh: "同上，适用于静止车辆（可能被其他车辆遮挡）。不得小于 `lost_after_s`。",
    },
};

pub static REJOIN_S: Setting<Number, Is<f32>> = Setting {
    name: "rejoin_s",
    kind: Number {
        least: 0.0,
        most: 600.0,
        unit: "s",
    },
    fallback: Is(|| PassageConfig::default().rejoin.as_secs_f32()),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The same plate seen again within this time is the same passage.",
        zh: "在此时间内再次出现的同一号牌算作同一次过车。",
    },
};

pub static EVIDENCE: Section = Section {
    path: "evidence",
    header: Header::Once,
    doc: Words {
        en: "The pictures of a passage.",
        zh: "过车图片。",
    },
    settings: &[&QUALITY, &THUMBNAIL_WIDTH],
    sections: &[],
    mistaken: &[],
};

pub static QUALITY: Setting<Integer<u8>, Is<u8>> = Setting {
    name: "quality",
    kind: Integer {
        least: 30,
        most: 100,
        unit: "",
    },
    fallback: Is(|| 85),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "JPEG quality.",
        zh: "JPEG 质量。",
    },
};

pub static THUMBNAIL_WIDTH: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "thumbnail_width",
    kind: Integer {
        least: 32,
        most: 1920,
        unit: "px",
    },
    fallback: Is(|| 320),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Width of the small picture.",
        zh: "缩略图宽度。",
    },
};
