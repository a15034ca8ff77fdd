//! `[broker]`: where messages go.

use kakou_uplink::{BrokerAddress, UplinkConfig};

use super::super::define::{Absent, Header, Is, Section, Setting, TakenUp, Words};
use super::super::kinds::{Id, Integer, List, Parsed, SecretFile, Text};
use super::general::NONE;

pub static BROKER: Section = Section {
    path: "broker",
    header: Header::Once,
    doc: Words {
        en: "The MQTT broker of the platform. `kakou run` needs this section. Without it \
             `kakou replay` publishes nothing, or publishes to what --broker names.",
        zh: "平台的 MQTT 服务器。`kakou run` 必须有本节；没有本节时，`kakou replay` 不发布消息，或发布到 --broker 指定的服务器。",
    },
    settings: &[
        &URL,
        &URLS,
        &CA,
        &CERTIFICATE,
        &KEY,
        &USER,
        &PASSWORD_FILE,
        &CLIENT_ID,
        &WINDOW,
        &WINDOW_BYTES,
        &BANDWIDTH,
        &KEEP_ALIVE_S,
        &ANSWER_TIMEOUT_S,
        &SESSION_EXPIRY_S,
    ],
    sections: &[],
    mistaken: &[
        (
            "password",
            "put the password into a file and name the file with `password_file`",
        ),
        ("username", "write `user`"),
        ("host", "write url = \"mqtts://HOST\""),
        ("port", "write url = \"mqtts://HOST:PORT\""),
        ("cert", "write `certificate`"),
    ],
};

/// The uplink's own defaults.
fn uplink() -> UplinkConfig {
    UplinkConfig::new(Vec::new(), "")
}

const ADDRESS: Words = Words {
    en: "URL, `mqtts://HOST[:PORT]` or `mqtt://HOST[:PORT]`",
    zh: "URL，`mqtts://主机[:端口]` 或 `mqtt://主机[:端口]`",
};

pub static URL: Setting<Parsed<BrokerAddress>, Absent> = Setting {
    name: "url",
    kind: Parsed::new(ADDRESS),
    fallback: Absent(Words {
        en: "none, but `url` or `urls` must be given",
        zh: "无，但 `url` 与 `urls` 必须写一个",
    }),
    example: Some("\"mqtts://127.0.0.1:8883\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The broker. `mqtts://` uses TLS, `mqtt://` does not. The default ports are 8883 and \
             1883.",
        zh: "服务器地址。`mqtts://` 使用 TLS，`mqtt://` 不加密；默认端口分别为 8883 和 1883。",
    },
};

pub static URLS: Setting<List<Parsed<BrokerAddress>>, Absent> = Setting {
    name: "urls",
    kind: List(Parsed::new(ADDRESS)),
    fallback: NONE,
    example: Some("[\"mqtts://broker-a.example\", \"mqtts://broker-b.example\"]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Several brokers instead of `url`, tried in this order. The agent returns to the first \
             one when it is back.",
        zh: "代替 `url`，写多个服务器，按顺序尝试。首选服务器恢复后会自动切回。",
    },
};

pub static CA: Setting<SecretFile, Absent> = Setting {
    name: "ca",
    kind: SecretFile,
    fallback: Absent(Words {
        en: "the authorities that this machine trusts",
        zh: "本机信任的证书机构",
    }),
    example: Some("\"ca.pem\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Certificates, in PEM, of the authorities that may sign the broker's certificate.",
        zh: "可以签发服务器证书的证书机构（PEM）。",
    },
};

pub static CERTIFICATE: Setting<SecretFile, Absent> = Setting {
    name: "certificate",
    kind: SecretFile,
    fallback: NONE,
    example: Some("\"agent.pem\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The agent's own certificate, in PEM, if the broker asks for one. It needs `key`.",
        zh: "本机的客户端证书（PEM），服务器要求时才需要，须与 `key` 同时写。",
    },
};

pub static KEY: Setting<SecretFile, Absent> = Setting {
    name: "key",
    kind: SecretFile,
    fallback: NONE,
    example: Some("\"agent.key.pem\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The private key that belongs to `certificate`, in PEM.",
        zh: "`certificate` 对应的私钥（PEM）。",
    },
};

pub static USER: Setting<Text, Absent> = Setting {
    name: "user",
    kind: Text,
    fallback: NONE,
    example: Some("\"box-1\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The user name at the broker. A user name in a URL comes first.",
        zh: "登录服务器的用户名。URL 中写了用户名时以 URL 为准。",
    },
};

pub static PASSWORD_FILE: Setting<SecretFile, Absent> = Setting {
    name: "password_file",
    kind: SecretFile,
    fallback: NONE,
    example: Some("\"credential:broker-password\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "A file that holds the password. It is read at each connection. `credential:NAME` is \
             the file that systemd provides for LoadCredential=NAME:... in the unit.",
        zh: "存放口令的文件，每次连接时读取。`credential:名称` 指 systemd 单元中 LoadCredential=名称:... 提供的文件。",
    },
};

pub static CLIENT_ID: Setting<Id, Absent> = Setting {
    name: "client_id",
    kind: Id,
    fallback: Absent(Words {
        en: "`kakou-SITE-AGENT`",
        zh: "`kakou-SITE-AGENT`",
    }),
    example: Some("\"kakou-site-kakou\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The MQTT client id. It must be unique at the broker.",
        zh: "MQTT 客户端标识，在服务器上必须唯一。",
    },
};

pub static WINDOW: Setting<Integer<u16>, Is<u16>> = Setting {
    name: "window",
    kind: Integer {
        least: 1,
        most: 65_000,
        unit: "",
    },
    fallback: Is(|| uplink().window),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Messages that may await acknowledgement at a time. The broker's receive maximum \
             lowers it.",
        zh: "同时等待确认的消息数上限。服务器的 receive maximum 更小时以其为准。",
    },
};

pub static WINDOW_BYTES: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "window_bytes",
    kind: Integer {
        least: 65_536,
        most: 1 << 28,
        unit: "bytes",
    },
    fallback: Is(|| u32::try_from(uplink().window_bytes).unwrap_or(u32::MAX)),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Bytes that may await acknowledgement at a time. On a slow link the agent sends fewer: \
             what the link delivers in four round trips and 60 ms.",
        zh: "同时等待确认的字节数上限。链路较慢时会自动减少，约为四个往返时延加 60 ms 内能送达的量。",
    },
};

pub static BANDWIDTH: Setting<Integer<u64>, Absent> = Setting {
    name: "bandwidth",
    kind: Integer {
        least: 1000,
        most: 1 << 40,
        unit: "bytes/s",
    },
    fallback: Absent(Words {
        en: "no limit",
        zh: "不限",
    }),
    example: Some("1000000"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The most that may be sent. Hits do not wait for it.",
        zh: "发送速率上限。命中消息不受此限制。",
    },
};

pub static KEEP_ALIVE_S: Setting<Integer<u16>, Is<u16>> = Setting {
    name: "keep_alive_s",
    kind: Integer {
        least: 5,
        most: 3600,
        unit: "s",
    },
    fallback: Is(|| u16::try_from(uplink().keep_alive.as_secs()).unwrap_or(u16::MAX)),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "A silent connection is tested this often. Mobile networks drop silent connections \
             after one to five minutes.",
        zh: "连接空闲时的探测间隔。移动网络通常在一到五分钟后断开空闲连接。",
    },
};

pub static ANSWER_TIMEOUT_S: Setting<Integer<u16>, Is<u16>> = Setting {
    name: "answer_timeout_s",
    kind: Integer {
        least: 2,
        most: 3600,
        unit: "s",
    },
    fallback: Is(|| u16::try_from(uplink().answer_timeout.as_secs()).unwrap_or(u16::MAX)),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Without an acknowledgement for this long, the connection counts as lost.",
        zh: "超过此时间没有收到确认，视为连接已断。",
    },
};

pub static SESSION_EXPIRY_S: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "session_expiry_s",
    kind: Integer {
        least: 0,
        most: 604_800,
        unit: "s",
    },
    fallback: Is(|| u32::try_from(uplink().session_expiry.as_secs()).unwrap_or(u32::MAX)),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "How long the broker keeps commands while the agent is away.",
        zh: "本机离线期间，服务器保留命令的时长。",
    },
};
