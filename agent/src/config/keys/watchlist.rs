//! `[watchlist]` and `[[watchlist.list]]`: the plates to watch for, and how near is near enough.

use kakou_contract::{Direction, Level};
use kakou_traffic::watchlist::Mode;

use super::super::define::{Absent, Header, Is, Section, Setting, TakenUp, Words};
use super::super::kinds::{
    Choice, FilePath, Flag, Id, List, Parsed, Scores, SecretFile, Text, TrustedKey,
};
use super::general::NONE;

pub static WATCHLIST: Section = Section {
    path: "watchlist",
    header: Header::Once,
    doc: Words {
        en: "The plates to watch for. Without this section there are no hits.",
        zh: "布控名单。不写本节则不产生命中。",
    },
    settings: &[&FILE, &KEYS, &STORE_KEY_FILE, &REQUIRE, &NEAR, &MIN_SCORE],
    sections: &[&LIST],
    mistaken: &[
        ("lists", "write [[watchlist.list]], once for each list"),
        ("files", "write [[watchlist.list]], once for each list"),
        ("threshold", "write `min_score`"),
    ],
};

pub static FILE: Setting<FilePath, Absent> = Setting {
    name: "file",
    kind: FilePath,
    fallback: Absent(Words {
        en: "none; the lists are those of `[[watchlist.list]]`",
        zh: "无；名单由 `[[watchlist.list]]` 给出",
    }),
    example: Some("\"watchlist.csv\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "One list, without settings of its own: CSV, JSON or XLSX, in UTF-8, UTF-16 or GB 18030. \
             Columns: plate, level, category, and as wanted reason, valid_from, valid_until, kind, \
             colour, class, authority, basis, days, hours, cameras, lanes, direction; Chinese names \
             are known too. The agent reads the file again when it changes; write it aside and \
             rename it. `kakou watchlist verify` checks a list.",
        zh: "单个名单，无单独设置：CSV、JSON 或 XLSX，编码为 UTF-8、UTF-16 或 GB 18030。列：plate（号牌号码）、level（级别）、category（类别），按需加 reason（原因）、valid_from（生效日期）、valid_until（有效期至）、kind（号牌种类）、colour（号牌颜色）、class（车辆类型）、authority（布控单位）、basis（依据）、days（星期）、hours（时段）、cameras（相机）、lanes（车道）、direction（方向），列名可用中文。文件变化后自动重新读取；请先写到旁边再改名。用 `kakou watchlist verify` 检查名单。",
    },
};

/// Keys, each with its place in the config.
type KeysAt = Vec<(TrustedKey, std::ops::Range<usize>)>;

pub static KEYS: Setting<List<Parsed<TrustedKey>>, Is<KeysAt>> = Setting {
    name: "keys",
    kind: List(Parsed::new(Words {
        en: "Ed25519 public key in base64",
        zh: "Ed25519 公钥（base64）",
    })),
    fallback: Is(Vec::new),
    example: Some("[\"6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=\"]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The keys with which the platform signs lists that it sends (`delivered`). Several may \
             stand side by side while one takes the place of another; a list that is signed with \
             none of them is not used. `kakou watchlist keygen` makes one.",
        zh: "平台对下发名单（`delivered`）签名所用的公钥。更换密钥期间可并列多个；未用其中任何一个签名的名单不予采用。`kakou watchlist keygen` 生成密钥。",
    },
};

pub static STORE_KEY_FILE: Setting<SecretFile, Absent> = Setting {
    name: "store_key_file",
    kind: SecretFile,
    fallback: Absent(Words {
        en: "none: lists that the platform sends lie in the clear in the state folder",
        zh: "无：平台下发的名单以明文保存在状态目录中",
    }),
    example: Some("\"credential:list-key\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "A file of 32 bytes or more, with which lists that the platform sends are encrypted on \
             the disk. A list that was kept in the clear before is encrypted at the next start.",
        zh: "不少于 32 字节的密钥文件，用于在磁盘上加密平台下发的名单。此前以明文保存的名单在下次启动时加密。",
    },
};

/// What entries must have, each with its place in the config.
type NeededAt = Vec<(Needed, std::ops::Range<usize>)>;

pub static REQUIRE: Setting<List<Choice<Needed>>, Is<NeededAt>> = Setting {
    name: "require",
    kind: List(Choice(&[
        ("authority", Needed::Authority),
        ("basis", Needed::Basis),
        ("end", Needed::End),
    ])),
    fallback: Is(Vec::new),
    example: Some("[\"authority\", \"basis\", \"end\"]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "What an entry must have: who listed it (`authority`), by which law, order or case \
                 (`basis`), and until when (`end`). An entry without it is refused by its line. \
                 `authority` and `basis` of the list count for all of its entries. Lists of those allowed \
                 are not asked.",
        zh: "条目必须具备的内容：布控单位（`authority`）、法律依据或案件编号（`basis`）、截止时间（`end`）。缺少的条目按行拒绝。名单自身的 `authority` 和 `basis` 对其全部条目有效。允许名单不受此限。",
    },
};

/// What an entry may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    Authority,
    Basis,
    End,
}

pub static NEAR: Setting<Flag, Absent> = Setting {
    name: "near",
    kind: Flag,
    fallback: Absent(Words {
        en: "at all levels but red",
        zh: "除红色外的各级别",
    }),
    example: Some("true"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Whether a plate that differs from the read only in characters which readers confuse is \
             a hit: it is marked `near` and says what differs. Of a list of those allowed: whether \
             such a plate is allowed.",
        zh: "与识读结果仅有易混字符差异的号牌是否算命中：此类命中标记为 `near` 并给出差异。对允许名单：此类号牌是否视为允许。",
    },
};

pub static MIN_SCORE: Setting<Scores, Is<[f32; 4]>> = Setting {
    name: "min_score",
    kind: Scores,
    fallback: Is(|| [0.0; 4]),
    example: Some("{ red = 0.5, orange = 0.2 }"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The least probability that the vehicle carries the listed plate (`doubt.confidence` of \
             the hit). What is less sure is no hit.",
        zh: "车辆确为布控号牌的最低概率（命中消息中的 `doubt.confidence`）。低于此值不算命中。",
    },
};

pub static LIST: Section = Section {
    path: "watchlist.list",
    header: Header::Repeated,
    doc: Words {
        en: "Once for each list, where there are several or one has settings of its own. Of all \
             entries that hold for a vehicle the most severe one counts.",
        zh: "有多个名单或需要单独设置时，每个名单一节。同一车辆以有效条目中级别最高者为准。",
    },
    settings: &[
        &NAME,
        &LIST_FILE,
        &DELIVERED,
        &MODE,
        &AUTHORITY,
        &BASIS,
        &LEVEL,
        &CATEGORY,
        &REASON,
        &LIST_NEAR,
        &LIST_MIN_SCORE,
        &CAMERAS,
        &LANES,
        &DIRECTION,
        &DAYS,
        &HOURS,
    ],
    sections: &[],
    mistaken: &[
        ("path", "write `file`"),
        ("version", "write it into the list, as a line `# version 7`"),
    ],
};

pub static NAME: Setting<Text, Absent> = Setting {
    name: "name",
    kind: Text,
    fallback: Absent(Words {
        en: "the file's name without its ending",
        zh: "文件名（不含扩展名）",
    }),
    example: Some("\"stolen\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "What the list is called in hits, status and audit.",
        zh: "名单在命中、状态和审计消息中的名称。",
    },
};

pub static DELIVERED: Setting<Flag, Is<bool>> = Setting {
    name: "delivered",
    kind: Flag,
    fallback: Is(|| false),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The platform sends this list over MQTT, signed with one of `watchlist.keys`; the box \
             keeps it in its state folder. It has a `name` and no `file`.",
        zh: "本名单由平台经 MQTT 下发，须以 `watchlist.keys` 之一签名；终端将其保存在状态目录中。须写 `name`，不写 `file`。",
    },
};

pub static LIST_FILE: Setting<FilePath, Absent> = Setting {
    name: "file",
    kind: FilePath,
    fallback: Absent(Words {
        en: "none; it must be written unless the list is `delivered`",
        zh: "无；除非名单为 `delivered`，否则必须写",
    }),
    example: Some("\"watchlist.csv\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "As `watchlist.file`.",
        zh: "同 `watchlist.file`。",
    },
};

pub static MODE: Setting<Choice<Mode>, Is<Mode>> = Setting {
    name: "mode",
    kind: Choice(&[("watch", Mode::Watch), ("allow", Mode::Allow)]),
    fallback: Is(|| Mode::Watch),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "`watch`: who is listed is a hit. `allow`: who is not listed is one, as on a closed \
             road. A vehicle whose plate was not read is neither.",
        zh: "`watch`：在名单中者为命中。`allow`：不在名单中者为命中，如封闭道路。未能识读号牌的车辆不产生命中。",
    },
};

pub static AUTHORITY: Setting<Text, Absent> = Setting {
    name: "authority",
    kind: Text,
    fallback: NONE,
    example: Some("\"municipal police, criminal investigation\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Who answers for entries that name nobody.",
        zh: "未注明布控单位的条目所属的单位。",
    },
};

pub static BASIS: Setting<Text, Absent> = Setting {
    name: "basis",
    kind: Text,
    fallback: NONE,
    example: Some("\"order 7/2031\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "By which law, order or case, for entries that do not say it.",
        zh: "未注明依据的条目的法律依据、命令或案件编号。",
    },
};

pub static LEVEL: Setting<Choice<Level>, Absent> = Setting {
    name: "level",
    kind: Choice(&[
        ("red", Level::Red),
        ("orange", Level::Orange),
        ("yellow", Level::Yellow),
        ("blue", Level::Blue),
    ]),
    fallback: Absent(Words {
        en: "none: each entry says it. In `allow` mode `yellow`",
        zh: "无：由各条目给出。`allow` 模式下为 `yellow`",
    }),
    example: Some("\"orange\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The level of entries that do not say it; in `allow` mode that of the hits.",
        zh: "未注明级别的条目的级别；`allow` 模式下为命中的级别。",
    },
};

pub static CATEGORY: Setting<Text, Absent> = Setting {
    name: "category",
    kind: Text,
    fallback: Absent(Words {
        en: "none: each entry says it. In `allow` mode `not_allowed`",
        zh: "无：由各条目给出。`allow` 模式下为 `not_allowed`",
    }),
    example: Some("\"stolen\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The category of entries that do not say it; in `allow` mode that of the hits. Known \
             words: stolen, wanted, clone_suspected, hazardous_goods, emission_class, \
             overdue_inspection; others stay as they are.",
        zh: "未注明类别的条目的类别；`allow` 模式下为命中的类别。已知词：stolen（被盗抢）、wanted（在逃、涉案）、clone_suspected（套牌嫌疑）、hazardous_goods（危化品）、emission_class（排放）、overdue_inspection（逾期未检验）；其他文字原样保留。",
    },
};

pub static REASON: Setting<Text, Absent> = Setting {
    name: "reason",
    kind: Text,
    fallback: NONE,
    example: Some("\"no permit for this road\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "In `allow` mode what a hit tells the officer.",
        zh: "`allow` 模式下命中时告知人员的原因。",
    },
};

pub static LIST_NEAR: Setting<Flag, Absent> = Setting {
    name: "near",
    kind: Flag,
    fallback: Absent(Words {
        en: "that of `[watchlist]`",
        zh: "同 `[watchlist]`",
    }),
    example: Some("false"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "As `watchlist.near`, for this list.",
        zh: "同 `watchlist.near`，仅用于本名单。",
    },
};

pub static LIST_MIN_SCORE: Setting<Scores, Absent> = Setting {
    name: "min_score",
    kind: Scores,
    fallback: Absent(Words {
        en: "that of `[watchlist]`",
        zh: "同 `[watchlist]`",
    }),
    example: Some("0.2"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "As `watchlist.min_score`, for this list.",
        zh: "同 `watchlist.min_score`，仅用于本名单。",
    },
};

const EVERYWHERE: Absent = Absent(Words {
    en: "all",
    zh: "全部",
});

pub static CAMERAS: Setting<List<Id>, Absent> = Setting {
    name: "cameras",
    kind: List(Id),
    fallback: EVERYWHERE,
    example: Some("[\"cam-1\"]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The cameras at which the list counts.",
        zh: "本名单适用的摄像机。",
    },
};

pub static LANES: Setting<List<Id>, Absent> = Setting {
    name: "lanes",
    kind: List(Id),
    fallback: EVERYWHERE,
    example: Some("[\"1\"]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The lanes in which the list counts.",
        zh: "本名单适用的车道。",
    },
};

pub static DIRECTION: Setting<Choice<Direction>, Absent> = Setting {
    name: "direction",
    kind: Choice(&[
        ("approaching", Direction::Approaching),
        ("leaving", Direction::Leaving),
    ]),
    fallback: Absent(Words {
        en: "both",
        zh: "两个方向",
    }),
    example: Some("\"approaching\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The direction in which the list counts. A vehicle whose direction could not be told \
             counts too.",
        zh: "本名单适用的行驶方向。方向不明的车辆同样适用。",
    },
};

pub static DAYS: Setting<Text, Absent> = Setting {
    name: "days",
    kind: Text,
    fallback: Absent(Words {
        en: "every day",
        zh: "每天",
    }),
    example: Some("\"mon-fri\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The days on which the list counts, in local time. While the clock is not synchronised, \
             days and hours do not count.",
        zh: "本名单适用的星期，按当地时间。时钟未同步时不考虑星期和时段。",
    },
};

pub static HOURS: Setting<Text, Absent> = Setting {
    name: "hours",
    kind: Text,
    fallback: Absent(Words {
        en: "all day",
        zh: "全天",
    }),
    example: Some("\"22:00-06:00\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The hours at which the list counts; several are separated by commas.",
        zh: "本名单适用的时段，多个时段以逗号分隔。",
    },
};
