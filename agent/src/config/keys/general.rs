//! The keys before the first header, and the small sections: `[metrics]`, `[timing]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::super::define::{Absent, Header, Is, Section, Setting, TakenUp, Words};
use super::super::kinds::{FilePath, Id, Integer, ListenAddress, Parsed};

pub static SITE: Setting<Id, Is<String>> = Setting {
    name: "site",
    kind: Id,
    fallback: Is(|| "site".to_owned()),
    example: None,
    taken_up: TakenUp::Restart,
    doc: Words {
        en: "The checkpoint. It stands in every MQTT topic.",
        zh: "卡口编号，出现在每个 MQTT 主题中。",
    },
};

pub static AGENT: Setting<Id, Is<String>> = Setting {
    name: "agent",
    kind: Id,
    fallback: Is(|| "kakou".to_owned()),
    example: None,
    taken_up: TakenUp::Restart,
    doc: Words {
        en: "This box. Choose a name that is unique in the city, and keep it: the state folder \
             belongs to one site and agent.",
        zh: "本机编号，须在全市唯一。确定后不要更改：状态目录只属于一个 site 和 agent。",
    },
};

pub static METRICS: Section = Section {
    path: "metrics",
    header: Header::Once,
    doc: Words {
        en: "Figures for Prometheus, and whether the box is well: docs/metrics.md. Without this \
             section there are none.",
        zh: "供 Prometheus 采集的指标与健康检查，见 docs/metrics.zh-CN.md。不写本节则不输出。",
    },
    settings: &[&METRICS_FILE, &METRICS_LISTEN],
    sections: &[],
    mistaken: &[
        (
            "port",
            "write the whole address: listen = \"127.0.0.1:9480\"",
        ),
        (
            "address",
            "it is called `listen`: listen = \"127.0.0.1:9480\"",
        ),
    ],
};

pub static METRICS_FILE: Setting<FilePath, Absent> = Setting {
    name: "file",
    kind: FilePath,
    fallback: NONE,
    example: Some("\"/var/lib/kakou/kakou.prom\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Written every 5 s in the Prometheus text format, for the textfile collector of \
             node_exporter.",
        zh: "每 5 秒以 Prometheus 文本格式写一次，供 node_exporter 的 textfile collector 读取。",
    },
};

/// Not among the ports that exporters commonly use.
pub const METRICS_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9480);

pub static METRICS_LISTEN: Setting<Parsed<ListenAddress>, Absent> = Setting {
    name: "listen",
    kind: Parsed::new(Words {
        en: "Address and port",
        zh: "地址与端口",
    }),
    fallback: Absent(Words {
        en: "127.0.0.1:9480; none where `file` is given",
        zh: "127.0.0.1:9480；写了 `file` 时为无",
    }),
    example: Some("\"127.0.0.1:9480\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Where `/metrics` and `/health` are answered over HTTP. There is no password: beyond \
             127.0.0.1 whoever reaches the port can read how much passes here, though no plate \
             and no picture.",
        zh: "在此地址以 HTTP 提供 `/metrics` 和 `/health`。没有口令：若不限于 127.0.0.1，凡能访问该端口者都可读取本卡口的车流量，但读不到号牌和图片。",
    },
};

pub static TIMING: Section = Section {
    path: "timing",
    header: Header::Once,
    doc: Words {
        en: "How often the agent reports, and how long it may take to stop.",
        zh: "状态上报周期与停机时限。",
    },
    settings: &[&STATUS_S, &SHUTDOWN_S],
    sections: &[],
    mistaken: &[],
};

pub static STATUS_S: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "status_s",
    kind: Integer {
        least: 5,
        most: 86_400,
        unit: "s",
    },
    fallback: Is(|| 60),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Time between two status messages while nothing changes. A change is reported at once.",
        zh: "状态不变时两条状态消息的间隔。状态变化立即上报。",
    },
};

pub static SHUTDOWN_S: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "shutdown_s",
    kind: Integer {
        least: 1,
        most: 600,
        unit: "s",
    },
    fallback: Is(|| 15),
    example: None,
    taken_up: TakenUp::Restart,
    doc: Words {
        en: "Time for an orderly stop. Keep it below TimeoutStopSec= of the systemd unit.",
        zh: "正常停机的时限。应小于 systemd 单元的 TimeoutStopSec=。",
    },
};

/// Where a key has no default because leaving it out means nothing more than that.
pub(super) const NONE: Absent = Absent(Words {
    en: "none",
    zh: "无",
});
