//! `[[camera]]`: where frames come from, how they are decoded, and when they are looked at.

use kakou_sight::camera::{Decoder, Fingerprint, Span, Transport};

use super::super::define::{Absent, Header, Is, Required, Section, Setting, TakenUp, Words};
use super::super::kinds::{
    Choice, Flag, Id, Integer, List, Number, Outlines, Parsed, SecretFile, Size, Text,
};
use super::general::NONE;
use super::lane::LANE;
use super::watching::{GATE, HEALTH};

pub static CAMERA: Section = Section {
    path: "camera",
    header: Header::Repeated,
    doc: Words {
        en: "Once for each camera. Without a camera, or without lanes, the whole picture counts and \
             passages have no lane.",
        zh: "每台摄像机写一节。没有摄像机或没有车道时，整幅画面有效，过车记录不带车道。",
    },
    settings: &[
        &ID,
        &URL,
        &LOOP,
        &USER,
        &PASSWORD_FILE,
        &TRANSPORT,
        &CA,
        &FINGERPRINT,
        &DECODER,
        &CODEC,
        &FFMPEG_ARGS,
        &LATENCY_MS,
        &RATE,
        &SIZE,
        &SCHEDULE,
        &MASKS,
    ],
    sections: &[&GATE, &HEALTH, &LANE],
    mistaken: &[
        (
            "password",
            "put the password into a file and name the file with `password_file`",
        ),
        ("username", "write `user`"),
        ("lanes", "write [[camera.lane]], once for each lane"),
        ("mask", "write masks = [[[x, y], [x, y], [x, y]]]"),
        ("fps", "write `rate`"),
    ],
};

pub static ID: Setting<Id, Required> = Setting {
    name: "id",
    kind: Id,
    fallback: Required,
    example: Some("\"cam-1\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The camera's name. It stands in the MQTT topics of its passages.",
        zh: "摄像机编号，出现在其过车记录的 MQTT 主题中。",
    },
};

pub static URL: Setting<Text, Absent> = Setting {
    name: "url",
    kind: Text,
    fallback: Absent(Words {
        en: "none; `kakou run` leaves this camera out",
        zh: "无；`kakou run` 不使用此摄像机",
    }),
    example: Some("\"rtsp://10.0.0.11/stream1\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Where the frames come from: `rtsp://` or `rtsps://` (H.264, H.265 or MJPEG), `http://` \
             or `https://` (MJPEG), `v4l2:/dev/video0` (a device of this machine), or the path of a \
             video file or a folder of frames, which is taken in as if it happened now. A user and \
             a password in the URL must be percent-encoded; `user` and `password_file` are safer.",
        zh: "图像来源：`rtsp://` 或 `rtsps://`（H.264、H.265、MJPEG），`http://` 或 `https://`（MJPEG），`v4l2:/dev/video0`（本机设备），或视频文件、图片目录的路径（按正在发生处理）。URL 中的用户名和口令须做百分号编码；建议改用 `user` 和 `password_file`。",
    },
};

pub static LOOP: Setting<Flag, Is<bool>> = Setting {
    name: "loop",
    kind: Flag,
    fallback: Is(|| false),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Start a recording again at its end. For recordings only.",
        zh: "录像播放完后从头再来。仅用于录像。",
    },
};

pub static USER: Setting<Text, Absent> = Setting {
    name: "user",
    kind: Text,
    fallback: NONE,
    example: Some("\"kakou\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "A user of the camera that may only watch. For live cameras.",
        zh: "摄像机用户名，只需有观看权限。仅用于实时摄像机。",
    },
};

pub static PASSWORD_FILE: Setting<SecretFile, Absent> = Setting {
    name: "password_file",
    kind: SecretFile,
    fallback: NONE,
    example: Some("\"credential:entry-password\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "A file that holds the password, as in `[broker]`. It is read at each connection. For \
             live cameras.",
        zh: "存放口令的文件，写法同 `[broker]`，每次连接时读取。仅用于实时摄像机。",
    },
};

pub static TRANSPORT: Setting<Choice<Transport>, Is<Transport>> = Setting {
    name: "transport",
    kind: Choice(&[("tcp", Transport::Tcp), ("udp", Transport::Udp)]),
    fallback: Is(Transport::default),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "How RTSP carries the pictures. For `rtsp://` and `rtsps://`.",
        zh: "RTSP 传输方式。仅用于 `rtsp://` 和 `rtsps://`。",
    },
};

pub static CA: Setting<SecretFile, Absent> = Setting {
    name: "ca",
    kind: SecretFile,
    fallback: Absent(Words {
        en: "the authorities that this machine trusts",
        zh: "本机信任的证书机构",
    }),
    example: Some("\"cameras-ca.pem\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Certificates, in PEM, of the authorities that may sign the camera's certificate. For \
             `rtsps://` and `https://`.",
        zh: "可以签发摄像机证书的证书机构（PEM）。仅用于 `rtsps://` 和 `https://`。",
    },
};

pub static FINGERPRINT: Setting<Parsed<Fingerprint>, Absent> = Setting {
    name: "fingerprint",
    kind: Parsed::new(Words {
        en: "SHA-256 of a certificate, 64 hexadecimal digits",
        zh: "证书的 SHA-256，64 位十六进制数",
    }),
    fallback: NONE,
    example: Some("\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The camera's own certificate, for a camera that no authority vouches for: no other one \
             is taken then. `kakou camera probe` shows which one a camera has; compare it with the \
             camera's own page. For `rtsps://` and `https://`.",
        zh: "摄像机自身证书的指纹，用于没有证书机构签发的摄像机：此时不接受其他证书。`kakou camera probe` 会显示摄像机的指纹，请与摄像机页面核对。仅用于 `rtsps://` 和 `https://`。",
    },
};

pub static DECODER: Setting<Choice<Decoder>, Is<Decoder>> = Setting {
    name: "decoder",
    kind: Choice(&[
        ("software", Decoder::Software),
        ("vaapi", Decoder::Vaapi),
        ("qsv", Decoder::Qsv),
        ("cuda", Decoder::Cuda),
        ("v4l2m2m", Decoder::V4l2m2m),
        ("rkmpp", Decoder::Rkmpp),
    ]),
    fallback: Is(Decoder::default),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "What decodes the stream. The box and its ffmpeg must have it. For live cameras.",
        zh: "解码方式，须由本机硬件和 ffmpeg 支持。仅用于实时摄像机。",
    },
};

pub static CODEC: Setting<Choice<&'static str>, Is<&'static str>> = Setting {
    name: "codec",
    kind: Choice(&[("h264", "h264"), ("h265", "hevc"), ("hevc", "hevc")]),
    fallback: Is(|| "h264"),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The stream's coding. Only the decoders `v4l2m2m` and `rkmpp` need it. For live \
             cameras.",
        zh: "码流编码。只有 `v4l2m2m` 和 `rkmpp` 解码需要。仅用于实时摄像机。",
    },
};

pub static FFMPEG_ARGS: Setting<List<Text>, Absent> = Setting {
    name: "ffmpeg_args",
    kind: List(Text),
    fallback: NONE,
    example: Some("[\"-analyzeduration\", \"500000\"]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Further arguments of ffmpeg, placed before its input. For live cameras.",
        zh: "附加的 ffmpeg 参数，放在输入之前。仅用于实时摄像机。",
    },
};

pub static LATENCY_MS: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "latency_ms",
    kind: Integer {
        least: 0,
        most: 10_000,
        unit: "ms",
    },
    fallback: Is(|| 0),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The camera's own delay. It is subtracted from the capture times. For live cameras.",
        zh: "摄像机自身的延迟，计算抓拍时间时扣除。仅用于实时摄像机。",
    },
};

pub static RATE: Setting<Number, Absent> = Setting {
    name: "rate",
    kind: Number {
        least: 0.5,
        most: 120.0,
        unit: "frames/s",
    },
    fallback: Absent(Words {
        en: "the cameras share 36 frames/s for each core, and each gets at least 8",
        zh: "各摄像机平分每核每秒 36 帧，每台至少 8 帧",
    }),
    example: Some("25.0"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The most frames that are taken from the camera. For live cameras.",
        zh: "每秒最多取用的帧数。仅用于实时摄像机。",
    },
};

pub static SIZE: Setting<Size, Absent> = Setting {
    name: "size",
    kind: Size {
        least: 16,
        most: 16_384,
    },
    fallback: Absent(Words {
        en: "the size of the first picture",
        zh: "第一幅图像的尺寸",
    }),
    example: Some("[1920, 1080]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The size that pictures must have. Another size is reported as `wrong_size`.",
        zh: "图像应有的尺寸。不符时状态为 `wrong_size`。",
    },
};

pub static SCHEDULE: Setting<List<Parsed<Span>>, Absent> = Setting {
    name: "schedule",
    kind: List(Parsed::new(Words {
        en: "days and times such as `\"mon-fri 06:00-22:00\"`",
        zh: "星期与时间，如 `\"mon-fri 06:00-22:00\"`",
    })),
    fallback: Absent(Words {
        en: "always",
        zh: "始终",
    }),
    example: Some("[\"mon-fri 06:00-22:00\", \"sat,sun 22:00-06:00\"]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "When the camera is used, in local time. A time that ends before it starts ends on the \
             next day. While the kernel's clock is not synchronised, it is used at all times.",
        zh: "启用时段，按本地时间。结束早于开始的时段延续到次日。内核时钟未同步期间始终启用。",
    },
};

pub static MASKS: Setting<Outlines, Absent> = Setting {
    name: "masks",
    kind: Outlines,
    fallback: NONE,
    example: Some("[[[0.0, 0.0], [1.0, 0.0], [1.0, 0.05], [0.0, 0.05]]]"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Polygons in which nothing is taken for a plate: burnt-in text, signs. Coordinates are \
             parts of the picture's width and height, from the top left, so they hold for any \
             resolution.",
        zh: "遮罩多边形，其中的内容不会当作号牌，例如叠加文字、标牌。坐标为占画面宽、高的比例，原点在左上角，与分辨率无关。",
    },
};
