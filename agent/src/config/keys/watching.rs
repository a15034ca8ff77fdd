//! `[camera.gate]` and `[camera.health]`: which pictures are looked at, and what counts as a fault
//! of the camera.

use std::time::Duration;

use kakou_sight::camera::{ConditionConfig, GateConfig, SightConfig};

use super::super::define::{Header, Is, Section, Setting, TakenUp, Words};
use super::super::kinds::{Flag, Number};

pub static GATE: Section = Section {
    path: "camera.gate",
    header: Header::Once,
    doc: Words {
        en: "The motion gate: pictures in which nothing moves are not looked at.",
        zh: "运动门控：画面无变化时不做分析。",
    },
    settings: &[&GATE_ENABLED, &LOOK_EVERY_S],
    sections: &[],
    mistaken: &[],
};

pub static GATE_ENABLED: Setting<Flag, Is<bool>> = Setting {
    name: "enabled",
    kind: Flag,
    fallback: Is(|| true),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Without the gate every picture is looked at.",
        zh: "关闭后每幅图像都分析。",
    },
};

/// A setting in seconds that may be half a second at the least.
macro_rules! seconds {
    ($name:ident, $key:literal, $most:literal, $default:expr, $en:literal, $zh:literal) => {
        pub static $name: Setting<Number, Is<f32>> = Setting {
            name: $key,
            kind: Number {
                least: 0.5,
                most: $most,
                unit: "s",
            },
            fallback: Is(|| {
                let default: Duration = $default;
                default.as_secs_f32()
            }),
            example: None,
            taken_up: TakenUp::Reload,
            doc: Words { en: $en, zh: $zh },
        };
    };
}

seconds!(
    LOOK_EVERY_S,
    "look_every_s",
    60.0,
    GateConfig::default().routine,
    "A still scene is looked at this often.",
    "画面静止时的分析间隔。"
);

pub static HEALTH: Section = Section {
    path: "camera.health",
    header: Header::Once,
    doc: Words {
        en: "How long a fault must last before the camera's state changes.",
        zh: "故障持续多久后改变摄像机状态。",
    },
    settings: &[
        &NO_FRAMES_S,
        &FROZEN_S,
        &BLACK_S,
        &BLINDED_S,
        &TURNED_AWAY_S,
        &LOW_RATE,
        &LOW_RATE_S,
    ],
    sections: &[],
    mistaken: &[],
};

seconds!(
    NO_FRAMES_S,
    "no_frames_s",
    600.0,
    ConditionConfig::default().no_frames_after,
    "Time without a frame (`no_frames`). The agent then connects again.",
    "收不到图像的时间（`no_frames`）。随后重新连接。"
);
seconds!(
    FROZEN_S,
    "frozen_s",
    3600.0,
    SightConfig::default().frozen_after,
    "Time for which the same picture repeats (`frozen`).",
    "画面完全不变的时间（`frozen`）。"
);
seconds!(
    BLACK_S,
    "black_s",
    3600.0,
    SightConfig::default().black_after,
    "Time for which the picture is dark and flat (`black`): a covered lens, or night without light.",
    "画面全黑且无细节的时间（`black`）：镜头被遮挡，或夜间无照明。"
);
seconds!(
    BLINDED_S,
    "blinded_s",
    3600.0,
    SightConfig::default().blinded_after,
    "Time for which the picture is mostly white (`blinded`): glare.",
    "画面大部分过曝的时间（`blinded`）：强光直射。"
);
seconds!(
    TURNED_AWAY_S,
    "turned_away_s",
    36_000.0,
    SightConfig::default().turned_after,
    "Time for which the camera shows another scene than the one learnt (`turned_away`).",
    "画面与学习到的场景不同的时间（`turned_away`）。"
);

pub static LOW_RATE: Setting<Number, Is<f32>> = Setting {
    name: "low_rate",
    kind: Number {
        least: 0.0,
        most: 0.9,
        unit: "",
    },
    fallback: Is(|| ConditionConfig::default().rate_low),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Below this share of its own frame rate a camera is too slow (`low_rate`).",
        zh: "帧率低于自身帧率的这一比例即为过慢（`low_rate`）。",
    },
};

seconds!(
    LOW_RATE_S,
    "low_rate_s",
    3600.0,
    ConditionConfig::default().rate_over,
    "Time for which the rate must be low.",
    "帧率过低须持续的时间。"
);
