//! Where cameras of a maker have their streams, and who says so. Firmware of another make or age may
//! differ: what counts is that a picture comes, and `kakou setup` tries it.

/// A maker whose cameras are reached by its name and their address.
pub struct Vendor {
    pub name: &'static str,
    /// As people write it.
    pub shown: &'static str,
    /// Path and query of the main stream.
    pub main: &'static str,
    /// The same of the sub stream, which is smaller.
    pub sub: &'static str,
}

pub static VENDORS: [Vendor; 4] = [
    // Hikvision USA's support, article 17000129022: 101 is the main stream of channel 1, 102 its
    // sub stream.
    Vendor {
        name: "hikvision",
        shown: "Hikvision",
        main: "/Streaming/Channels/101",
        sub: "/Streaming/Channels/102",
    },
    // Dahua's rule as integrators repeat it (blog.csdn.net/mtl1994/article/details/121977722):
    // subtype 0 is the main stream, 1 the sub stream.
    Vendor {
        name: "dahua",
        shown: "Dahua",
        main: "/cam/realmonitor?channel=1&subtype=0",
        sub: "/cam/realmonitor?channel=1&subtype=1",
    },
    // Uniview's rule for cameras as integrators repeat it
    // (blog.csdn.net/weixin_37549838/article/details/140784175); recorders have other paths.
    Vendor {
        name: "uniview",
        shown: "Uniview",
        main: "/media/video1",
        sub: "/media/video2",
    },
    // Tapo's FAQ 34, which the README of go2rtc's tapo source names: stream1 is the main stream,
    // stream2 the sub stream.
    Vendor {
        name: "tp-link",
        shown: "TP-Link",
        main: "/stream1",
        sub: "/stream2",
    },
];

/// A maker and whether its sub stream is meant: `hikvision`, `hikvision-sub`.
pub fn vendor(name: &str) -> Option<(&'static Vendor, bool)> {
    let name = name.to_ascii_lowercase();
    let (plain, is_sub) = match name.strip_suffix("-sub") {
        Some(plain) => (plain, true),
        None => (name.as_str(), false),
    };
    let found = VENDORS.iter().find(|vendor| vendor.name == plain);
    found.map(|vendor| (vendor, is_sub))
}

/// Their names, for an error.
pub fn names() -> String {
    VENDORS.each_ref().map(|vendor| vendor.name).join(", ")
}
