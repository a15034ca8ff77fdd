//! `[outbox]`: what is stored, how much of it, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use kakou_contract::Priority;
use kakou_outbox::{OutboxLimits, Retention};

use super::super::define::{Absent, Header, Is, Section, Setting, TakenUp, Words};
use super::super::kinds::{FilePath, Integer};

pub static OUTBOX: Section = Section {
    path: "outbox",
    header: Header::Once,
    doc: Words {
        en: "Where messages wait for the broker, how much space they may take, and how long the \
             box keeps them once the platform has them.",
        zh: "消息发送前的存放位置、可占用的空间，以及平台收到后本机继续保留的时长。",
    },
    settings: &[
        &STATE,
        &MAX_MIB,
        &MIN_FREE_MIB,
        &KEEP_PASSAGES_H,
        &KEEP_PASSAGES_MIN,
        &KEEP_HITS_H,
        &KEEP_HITS_MIN,
        &KEEP_CONTROL_H,
    ],
    sections: &[&HITS, &CONTROL, &PASSAGES, &PICTURES],
    mistaken: &[],
};

/// 16 TiB.
const MOST_MIB: u64 = 1 << 24;
const MOST_KEPT_H: u32 = 8760;
const MOST_AGE_H: u32 = 87_600;

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

fn hours(time: Duration) -> u32 {
    u32::try_from(time.as_secs() / 3600).unwrap_or(u32::MAX)
}

/// The outbox's own limits for one priority: MiB and hours.
fn limit(priority: Priority) -> (u64, u32) {
    let limit = OutboxLimits::default().by_priority[priority.index()];
    (mib(limit.bytes), hours(limit.age))
}

pub static STATE: Setting<FilePath, Is<PathBuf>> = Setting {
    name: "state",
    kind: FilePath,
    fallback: Is(|| PathBuf::from("/var/lib/kakou")),
    example: None,
    taken_up: TakenUp::Restart,
    doc: Words {
        en: "The folder for the database, the signing key and the disk reserve. It belongs to this \
             agent alone.",
        zh: "存放数据库、签名密钥和磁盘预留文件的目录，只供本机的一个 agent 使用。",
    },
};

pub static MAX_MIB: Setting<Integer<u64>, Is<u64>> = Setting {
    name: "max_mib",
    kind: Integer {
        least: 16,
        most: MOST_MIB,
        unit: "MiB",
    },
    fallback: Is(|| mib(OutboxLimits::default().bytes)),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The most that the database may take. Beyond it the least valuable messages are \
             dropped: pictures first, hits last. Each loss is reported.",
        zh: "数据库可占用的最大空间。超出时先丢弃价值最低的消息：先图片，最后才是命中。每次丢弃都会上报。",
    },
};

pub static MIN_FREE_MIB: Setting<Integer<u64>, Is<u64>> = Setting {
    name: "min_free_mib",
    kind: Integer {
        least: 0,
        most: MOST_MIB,
        unit: "MiB",
    },
    fallback: Is(|| mib(OutboxLimits::default().free_disk)),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Free space to leave on the disk. Pictures and passages are dropped for it, hits never.",
        zh: "磁盘上须保留的空闲空间。为此可丢弃图片和过车记录，但不丢弃命中。",
    },
};

pub static KEEP_PASSAGES_H: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "keep_passages_h",
    kind: Integer {
        least: 1,
        most: MOST_KEPT_H,
        unit: "h",
    },
    fallback: Is(|| hours(Retention::default().passage)),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "How long passages without a hit, and their pictures, stay on the box after the \
             platform has them. Then they are deleted, and the deletion is recorded.",
        zh: "平台收到后，未命中的过车记录及其图片在本机保留的时长。到期删除，并留下删除记录。",
    },
};

pub static KEEP_PASSAGES_MIN: Setting<Integer<u32>, Absent> = Setting {
    name: "keep_passages_min",
    kind: Integer {
        least: 1,
        most: MOST_KEPT_H * 60,
        unit: "min",
    },
    fallback: Absent(Words {
        en: "none; `keep_passages_h` holds",
        zh: "无；以 `keep_passages_h` 为准",
    }),
    example: Some("3"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The same in minutes, in place of `keep_passages_h`. It is looked at six times in that span; then its bytes are overwritten in the file.",
        zh: "同上，以分钟计，取代 `keep_passages_h`。每个时长内检查六次；到期后文件中的字节被覆盖。",
    },
};

pub static KEEP_HITS_H: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "keep_hits_h",
    kind: Integer {
        least: 1,
        most: MOST_KEPT_H,
        unit: "h",
    },
    fallback: Is(|| hours(Retention::default().hit)),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The same for hits, with their passages and pictures.",
        zh: "同上，适用于命中及其过车记录和图片。",
    },
};

pub static KEEP_HITS_MIN: Setting<Integer<u32>, Absent> = Setting {
    name: "keep_hits_min",
    kind: Integer {
        least: 1,
        most: MOST_KEPT_H * 60,
        unit: "min",
    },
    fallback: Absent(Words {
        en: "none; `keep_hits_h` holds",
        zh: "无；以 `keep_hits_h` 为准",
    }),
    example: Some("90"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The same in minutes, in place of `keep_hits_h`.",
        zh: "同上，以分钟计，取代 `keep_hits_h`。",
    },
};

pub static KEEP_CONTROL_H: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "keep_control_h",
    kind: Integer {
        least: 1,
        most: MOST_KEPT_H,
        unit: "h",
    },
    fallback: Is(|| hours(Retention::default().control)),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The same for status messages, audit messages and command results.",
        zh: "同上，适用于状态消息、审计消息和命令结果。",
    },
};

/// The limits of one priority: a section, its two keys, and their words.
macro_rules! limits {
    ($section:ident, $mib:ident, $age:ident, $path:literal, $priority:expr, $en:literal, $zh:literal) => {
        pub static $section: Section = Section {
            path: $path,
            header: Header::Inline,
            doc: Words { en: $en, zh: $zh },
            settings: &[&$mib, &$age],
            sections: &[],
            mistaken: &[],
        };

        pub static $mib: Setting<Integer<u64>, Is<u64>> = Setting {
            name: "max_mib",
            kind: Integer {
                least: 1,
                most: MOST_MIB,
                unit: "MiB",
            },
            fallback: Is(|| limit($priority).0),
            example: None,
            taken_up: TakenUp::Reload,
            doc: Words {
                en: "The most that these messages may take.",
                zh: "此类消息可占用的最大空间。",
            },
        };

        pub static $age: Setting<Integer<u32>, Is<u32>> = Setting {
            name: "max_age_h",
            kind: Integer {
                least: 1,
                most: MOST_AGE_H,
                unit: "h",
            },
            fallback: Is(|| limit($priority).1),
            example: None,
            taken_up: TakenUp::Reload,
            doc: Words {
                en: "A message that has waited longer is dropped.",
                zh: "等待超过此时间的消息将被丢弃。",
            },
        };
    };
}

limits!(
    HITS,
    HITS_MIB,
    HITS_AGE,
    "outbox.hits",
    Priority::Hit,
    "Limits for hits that wait.",
    "待发命中的上限。"
);
limits!(
    CONTROL,
    CONTROL_MIB,
    CONTROL_AGE,
    "outbox.control",
    Priority::Control,
    "Limits for status messages, audit messages and command results that wait.",
    "待发状态、审计消息和命令结果的上限。"
);
limits!(
    PASSAGES,
    PASSAGES_MIB,
    PASSAGES_AGE,
    "outbox.passages",
    Priority::Passage,
    "Limits for passages that wait.",
    "待发过车记录的上限。"
);
limits!(
    PICTURES,
    PICTURES_MIB,
    PICTURES_AGE,
    "outbox.pictures",
    Priority::Picture,
    "Limits for pictures that wait.",
    "待发图片的上限。"
);
