//! `[signals]`: what is told about passages that do not fit, though no list asks for them.

use kakou_contract::SignalKind;
use kakou_traffic::signals::SignalRules;

use super::super::define::{Header, Is, Required, Section, Setting, TakenUp, Words};
use super::super::kinds::{Choice, Id, Integer, List};

pub static SIGNALS: Section = Section {
    path: "signals",
    header: Header::Once,
    doc: Words {
        en: "Passages that do not fit: with themselves, with another passage of this box, or with \
             the rules of the road. A signal is no hit.",
        zh: "有不合之处的过车：自相矛盾、与本机另一次过车矛盾，或违反通行规则。异常不是命中。",
    },
    settings: &[&KINDS, &MAX_SPEED_KMH],
    sections: &[&DISTANCE],
    mistaken: &[(
        "distances",
        "write [[signals.distance]], once for each pair of cameras",
    )],
};

/// The kinds, each with its place in the config.
type KindsAt = Vec<(SignalKind, std::ops::Range<usize>)>;

pub static KINDS: Setting<List<Choice<SignalKind>>, Is<KindsAt>> = Setting {
    name: "kinds",
    kind: List(Choice(&[
        ("contradiction", SignalKind::Contradiction),
        ("twice", SignalKind::Twice),
        ("no_plate", SignalKind::NoPlate),
        ("wrong_way", SignalKind::WrongWay),
        ("travel", SignalKind::Travel),
    ])),
    fallback: Is(|| {
        let usual = SignalRules::default().kinds;
        usual.into_iter().map(|kind| (kind, 0..0)).collect()
    }),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Which are told; `[]`: none. `contradiction`: text, colour and class cannot belong \
             together. `twice`: one plate in two places at once. `no_plate`: a car, bus or truck \
             whose plate is missing or cannot be read; left out by itself, because many a plate is \
             hidden by the vehicle in front. `wrong_way`: against the lane's `direction`. \
             `travel`: one plate at two cameras, faster than `max_speed_kmh`.",
        zh: "上报哪些种类；`[]` 为不上报。`contradiction`：号码、底色与车型不可能同时成立。`twice`：同一号牌同时出现在两处。`no_plate`：小汽车、客车或货车没有号牌或无法识读；默认不上报，因为号牌常被前车遮挡。`wrong_way`：与车道的 `direction` 相反。`travel`：同一号牌先后出现在两台相机，所需速度超过 `max_speed_kmh`。",
    },
};

pub static MAX_SPEED_KMH: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "max_speed_kmh",
    kind: Integer {
        least: 50,
        most: 1000,
        unit: "km/h",
    },
    fallback: Is(|| SignalRules::default().max_speed_kmh),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "No vehicle gets from one camera to another faster than this.",
        zh: "任何车辆从一台相机到另一台相机都不会快于此速度。",
    },
};

pub static DISTANCE: Section = Section {
    path: "signals.distance",
    header: Header::Example,
    doc: Words {
        en: "Once for each pair of cameras of this box that no vehicle can be at at the same time. \
             Without it two cameras count as one place, as front and rear camera of one gate are.",
        zh: "本机每一对不可能同时出现同一车辆的相机写一节。未写的两台相机视为同一地点，如同一断面的前后相机。",
    },
    settings: &[&CAMERAS, &METRES],
    sections: &[],
    mistaken: &[("meters", "write `metres`"), ("camera", "write `cameras`")],
};

pub static CAMERAS: Setting<List<Id>, Required> = Setting {
    name: "cameras",
    kind: List(Id),
    fallback: Required,
    example: Some("[\"cam-1\", \"cam-2\"]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The ids of the two cameras.",
        zh: "两台相机的编号。",
    },
};

pub static METRES: Setting<Integer<u32>, Required> = Setting {
    name: "metres",
    kind: Integer {
        least: 50,
        most: 100_000,
        unit: "m",
    },
    fallback: Required,
    example: Some("1200"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The shortest way by road from what the one camera sees to what the other sees. Too \
             little is safe, too much makes false signals.",
        zh: "从一台相机画面到另一台相机画面的最短道路长度。偏短无妨，偏长会产生误报。",
    },
};
