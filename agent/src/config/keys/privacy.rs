//! `[privacy]`: what is kept and sent of vehicles that nobody looks for.

use super::super::define::{Absent, Header, Is, Section, Setting, TakenUp, Words};
use super::super::kinds::{Choice, FilePath};
use super::super::settings::NonHits;
use super::general::NONE;

pub static PRIVACY: Section = Section {
    path: "privacy",
    header: Header::Once,
    doc: Words {
        en: "What is kept and sent of vehicles that hit nothing. docs/privacy.md says which \
             settings meet which law.",
        zh: "对未命中车辆保留和上报的内容。各项法律对应的设置见 docs/privacy.md。",
    },
    settings: &[&NON_HITS, &KEY_FILE],
    sections: &[],
    mistaken: &[],
};

pub static NON_HITS: Setting<Choice<NonHits>, Is<NonHits>> = Setting {
    name: "non_hits",
    kind: Choice(&[
        ("whole", NonHits::Whole),
        ("hash", NonHits::Hash),
        ("nothing", NonHits::Nothing),
    ]),
    fallback: Is(|| NonHits::Whole),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "`whole`: the passage with its pictures. `hash`: the passage without pictures, and \
             a keyed hash in place of its plate. `nothing`: no passage; hits are told as ever.",
        zh: "`whole`：过车记录及其图片。`hash`：不含图片，号牌以带密钥的哈希代替。`nothing`：不保留、不上报；命中照常上报。",
    },
};

pub static KEY_FILE: Setting<FilePath, Absent> = Setting {
    name: "key_file",
    kind: FilePath,
    fallback: NONE,
    example: Some("\"/etc/kakou/privacy.key\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The key of the hashes: a file of 32 bytes or more that its owner alone may read. \
             Boxes with the same key give the same plate the same hash; with a new key nothing \
             that was hashed before can be joined any more.",
        zh: "哈希密钥：不少于 32 字节，仅所有者可读的文件。密钥相同的终端对同一号牌得到相同的哈希；更换密钥后，此前的哈希不能再关联。",
    },
};
