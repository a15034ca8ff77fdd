//! `[vision]`: the models, and how often pictures are looked at.

use kakou_sight::vision::Provider;

use super::super::define::{Absent, Header, Is, IsHere, Section, Setting, TakenUp, Words};
use super::super::kinds::{Choice, FilePath, Integer, Number, Text};

pub static VISION: Section = Section {
    path: "vision",
    header: Header::Once,
    doc: Words {
        en: "The models, and how often pictures are looked at.",
        zh: "模型，以及对图像的分析频度。",
    },
    settings: &[
        &MANIFEST,
        &RUNTIME,
        &PROVIDER,
        &THREADS,
        &WORKERS,
        &VEHICLES,
        &PLATES,
        &READER,
        &SECOND_READER,
        &VEHICLE_SCORE,
        &PLATE_SIDE,
        &VEHICLE_EVERY_MS,
        &PLATE_EVERY_MS,
        &ENOUGH_READS,
    ],
    sections: &[],
    mistaken: &[("models", "write `manifest`")],
};

pub static MANIFEST: Setting<FilePath, Absent> = Setting {
    name: "manifest",
    kind: FilePath,
    fallback: Absent(Words {
        en: "`models/manifest.toml` beside the program or above it, then in `/usr/share/kakou`",
        zh: "依次在程序所在目录及其上级、`/usr/share/kakou` 中查找 `models/manifest.toml`",
    }),
    example: Some("\"../models/manifest.toml\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The file that lists the models.",
        zh: "列出模型的清单文件。",
    },
};

pub static RUNTIME: Setting<FilePath, Absent> = Setting {
    name: "runtime",
    kind: FilePath,
    fallback: Absent(Words {
        en: "the library that `make models` fetched",
        zh: "`make models` 下载的库",
    }),
    example: Some("\"/usr/lib/libonnxruntime.so\""),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Another ONNX Runtime library.",
        zh: "另行指定 ONNX Runtime 库。",
    },
};

pub static PROVIDER: Setting<Choice<Provider>, Is<Provider>> = Setting {
    name: "provider",
    kind: Choice(&[
        ("cpu", Provider::Cpu),
        ("cuda", Provider::Cuda),
        ("tensorrt", Provider::Tensorrt),
        ("openvino", Provider::Openvino),
        ("coreml", Provider::Coreml),
        ("rknpu", Provider::Rknpu),
    ]),
    fallback: Is(Provider::default),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "What runs the models; `kakou bench --providers` measures what is there. `openvino` needs \
             `python3 models/fetch.py --only openvino`. The others are cargo features of the same \
             name and need an ONNX Runtime library that has them.",
        zh: "运行模型的执行后端；`kakou bench --providers` 可实测比较。`openvino` 须先运行 \
             `python3 models/fetch.py --only openvino`。其余各项编译时须启用同名 cargo feature，且 ONNX Runtime 库须支持。",
    },
};

pub static THREADS: Setting<Integer<u16>, Absent> = Setting {
    name: "threads",
    kind: Integer {
        least: 1,
        most: 64,
        unit: "",
    },
    fallback: Absent(Words {
        en: "the cores that a camera has to itself, 4 at the most: with as many cameras as cores, 1",
        zh: "每个摄像机可独占的处理器核数，最多 4；摄像机不少于核数时为 1",
    }),
    example: Some("1"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Threads that one run of a model may use.",
        zh: "单次模型推理可用的线程数。",
    },
};

pub static WORKERS: Setting<Integer<u16>, IsHere<u16>> = Setting {
    name: "workers",
    kind: Integer {
        least: 1,
        most: 64,
        unit: "",
    },
    fallback: IsHere(
        || u16::try_from(kakou_sight::share::cores().clamp(1, 64)).unwrap_or(1),
        Words {
            en: "as many as the machine has cores",
            zh: "等于本机的处理器核数",
        },
    ),
    example: Some("2"),
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Cameras that run models at the same time. The others wait, first come, first served. \
             Each worker has its own set of models in memory.",
        zh: "同时进行推理的摄像机数，其余按先后排队。每个 worker 在内存中各有一套模型。",
    },
};

pub static VEHICLES: Setting<Text, Is<String>> = Setting {
    name: "vehicles",
    kind: Text,
    fallback: Is(|| "vehicles-kakou".to_owned()),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The manifest's name for the model that finds vehicles.",
        zh: "车辆检测模型在清单中的名称。",
    },
};

pub static PLATES: Setting<Text, Is<String>> = Setting {
    name: "plates",
    kind: Text,
    fallback: Is(|| "plate-detector-kakou".to_owned()),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The manifest's name for the model that finds plates.",
        zh: "号牌检测模型在清单中的名称。",
    },
};

pub static READER: Setting<Text, Is<String>> = Setting {
    name: "reader",
    kind: Text,
    fallback: Is(|| "plate-reader-kakou".to_owned()),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The manifest's name for the model that reads plates.",
        zh: "号牌识别模型在清单中的名称。",
    },
};

/// What `second_reader` says where nobody else is to be asked.
pub const NOBODY: &str = "none";

pub static SECOND_READER: Setting<Text, Is<String>> = Setting {
    name: "second_reader",
    kind: Text,
    fallback: Is(|| "plate-reader".to_owned()),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "The manifest's name for a second model that reads plates. It is asked only about plates \
             that are near and that `reader` is in doubt about. `none`: there is no second opinion, \
             which saves 17 MiB for each worker.",
        zh: "第二个号牌识别模型在清单中的名称。仅当号牌已足够近而 `reader` 仍没有把握时才使用。`none` 表示不征求第二意见，\
             每个 worker 可省 17 MiB 内存。",
    },
};

pub static VEHICLE_SCORE: Setting<Number, Is<f32>> = Setting {
    name: "vehicle_score",
    kind: Number {
        least: 0.05,
        most: 0.99,
        unit: "",
    },
    fallback: Is(|| 0.3),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Vehicles that score less are ignored. A new track needs a higher score.",
        zh: "得分低于此值的车辆检测结果不予采用。新建跟踪需要更高的得分。",
    },
};

pub static PLATE_SIDE: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "plate_side",
    kind: Integer {
        least: 160,
        most: 4096,
        unit: "px",
    },
    fallback: Is(|| 960),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Plates are first looked for in a picture scaled to this length of its longer side. A \
             plate should be at least 45 px wide there. Twice the length takes four times the time.",
        zh: "初次查找号牌时，把图像长边缩放到此值。缩放后号牌宽度宜不小于 45 px。此值加倍，耗时约为四倍。",
    },
};

pub static VEHICLE_EVERY_MS: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "vehicle_every_ms",
    kind: Integer {
        least: 0,
        most: 10_000,
        unit: "ms",
    },
    fallback: Is(|| 200),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Longest time between two searches for vehicles while all vehicles in sight are well known. \
             A new one, or one without a plate, is looked for more often. 0 searches every frame.",
        zh: "画面中的车辆都已明确时，两次车辆检测的最长间隔。出现新车或无牌车时检测更频繁。0 表示每帧都检测。",
    },
};

pub static PLATE_EVERY_MS: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "plate_every_ms",
    kind: Integer {
        least: 0,
        most: 10_000,
        unit: "ms",
    },
    fallback: Is(|| 300),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "Longest time between two searches for plates over all lanes. In between, plates are \
             looked for on vehicles whose plate is not known yet, and where followed plates are \
             expected. 0 searches every frame.",
        zh: "在全部车道内两次查找号牌的最长间隔。其间只查找号牌未定的车辆以及已跟踪号牌的预计位置。0 表示每帧都查找。",
    },
};

pub static ENOUGH_READS: Setting<Integer<u32>, Is<u32>> = Setting {
    name: "enough_reads",
    kind: Integer {
        least: 0,
        most: 1000,
        unit: "",
    },
    fallback: Is(|| 8),
    example: None,
    taken_up: TakenUp::Reload,
    doc: Words {
        en: "After this many sure reads that agree, a plate is read only now and then. 0 reads it \
             always.",
        zh: "同一号牌得到这么多次一致且可信的识别后，只偶尔再读。0 表示始终识别。",
    },
};
