//! The keys of `[panel]`: the box's own page.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::super::define::{Absent, Header, Section, Setting, TakenUp, Words};
use super::super::kinds::{ListenAddress, Parsed, SecretFile};

pub static PANEL: Section = Section {
    path: "panel",
    header: Header::Once,
    doc: Words {
        en: "The box's own page: hits for the officer, cameras to aim, how the box is. \
             docs/panel.md. Users are made by `kakou panel user add`. Without this section there \
             is no page.",
        zh: "本机网页：执勤人员查看命中、安装人员调整相机、值守人员查看运行情况，见 docs/panel.zh-CN.md。用户由 `kakou panel user add` 建立。不写本节则没有网页。",
    },
    settings: &[&LISTEN, &CERTIFICATE, &KEY],
    sections: &[],
    mistaken: &[
        (
            "port",
            "write the whole address: listen = \"127.0.0.1:8480\"",
        ),
        (
            "address",
            "it is called `listen`: listen = \"127.0.0.1:8480\"",
        ),
        (
            "password",
            "users are made by `kakou panel user add NAME --role officer`",
        ),
    ],
};

/// Not among the ports that are commonly used.
pub const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8480);

pub static LISTEN: Setting<Parsed<ListenAddress>, Absent> = Setting {
    name: "listen",
    kind: Parsed::new(Words {
        en: "Address and port",
        zh: "地址与端口",
    }),
    fallback: Absent(Words {
        en: "127.0.0.1:8480",
        zh: "127.0.0.1:8480",
    }),
    example: Some("\"127.0.0.1:8480\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Where the page is answered. Beyond 127.0.0.1 it is answered by TLS alone; everybody \
             has to log in, wherever from.",
        zh: "网页的监听地址。若不限于 127.0.0.1，则只以 TLS 提供。无论从何处访问都须登录。",
    },
};

pub static CERTIFICATE: Setting<SecretFile, Absent> = Setting {
    name: "certificate",
    kind: SecretFile,
    fallback: Absent(Words {
        en: "beyond 127.0.0.1 one is made at the first start; `kakou panel status` prints its \
             fingerprint",
        zh: "若不限于 127.0.0.1，首次启动时自行生成；`kakou panel status` 显示其指纹",
    }),
    example: Some("\"panel.pem\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The page's certificate, in PEM, with those that vouch for it. It needs `key`.",
        zh: "网页的证书及其签发链，PEM 格式。须同时写 `key`。",
    },
};

pub static KEY: Setting<SecretFile, Absent> = Setting {
    name: "key",
    kind: SecretFile,
    fallback: super::general::NONE,
    example: Some("\"panel.key.pem\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The private key that belongs to `certificate`, in PEM.",
        zh: "与 `certificate` 对应的私钥，PEM 格式。",
    },
};
