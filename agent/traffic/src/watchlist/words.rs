//! The words that people use in lists, in English and Chinese, and what they mean here.

use kakou_contract::{Direction, Level, PlateColour, PlateKind, VehicleClass};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Plate,
    Kind,
    Colour,
    Class,
    Category,
    Level,
    Authority,
    Basis,
    Reason,
    From,
    Until,
    Days,
    Hours,
    Cameras,
    Lanes,
    Direction,
    /// Nothing that counts here, as a running number.
    Other,
}

/// Each column's own name, and what else it is called. The first is what an export writes.
const COLUMNS: &[(Column, &[&str])] = &[
    (
        Column::Plate,
        &[
            "plate",
            "number",
            "plateno",
            "platenumber",
            "licenseplate",
            "licenceplate",
            "号牌号码",
            "号牌",
            "车牌",
            "车牌号",
            "车牌号码",
            "车号",
            "车辆号牌",
            "号码",
            "号码号牌",
            "机动车号牌",
            "hphm",
        ],
    ),
    (
        Column::Kind,
        &[
            "kind",
            "platekind",
            "platetype",
            "号牌种类",
            "车牌种类",
            "号牌类型",
            "车牌类型",
            "种类",
            "hpzl",
        ],
    ),
    (
        Column::Colour,
        &[
            "colour",
            "color",
            "platecolour",
            "platecolor",
            "号牌颜色",
            "车牌颜色",
            "颜色",
            "hpys",
        ],
    ),
    (
        Column::Class,
        &[
            "class",
            "vehicleclass",
            "vehicletype",
            "车型",
            "车辆类型",
            "车辆类别",
            "cllx",
        ],
    ),
    (
        Column::Category,
        &[
            "category",
            "类别",
            "布控类别",
            "布控类型",
            "预警类型",
            "预警类别",
            "类型",
            "名单类型",
            "bklx",
        ],
    ),
    (
        Column::Level,
        &[
            "level",
            "severity",
            "priority",
            "级别",
            "预警级别",
            "布控级别",
            "布控等级",
            "预警等级",
            "等级",
            "bkjb",
        ],
    ),
    (
        Column::Authority,
        &[
            "authority",
            "agency",
            "issuer",
            "机关",
            "布控单位",
            "布控机关",
            "发布单位",
            "申请单位",
            "列控单位",
            "单位",
            "bkdw",
        ],
    ),
    (
        Column::Basis,
        &[
            "basis",
            "legalbasis",
            "case",
            "caseno",
            "casenumber",
            "依据",
            "法律依据",
            "布控依据",
            "案件编号",
            "案号",
            "案件号",
            "文号",
            "法律文书号",
        ],
    ),
    (
        Column::Reason,
        &[
            "reason",
            "note",
            "notes",
            "remark",
            "remarks",
            "原因",
            "布控原因",
            "事由",
            "案由",
            "说明",
            "备注",
        ],
    ),
    (
        Column::From,
        &[
            "validfrom",
            "from",
            "start",
            "startdate",
            "生效日期",
            "生效时间",
            "开始时间",
            "开始日期",
            "起始时间",
            "起始日期",
            "布控开始时间",
            "布控起始时间",
            "布控日期",
            "布控时间",
            "有效期起",
            "有效期自",
        ],
    ),
    (
        Column::Until,
        &[
            "validuntil",
            "validto",
            "until",
            "expires",
            "expiry",
            "end",
            "enddate",
            "有效期",
            "有效期至",
            "有效期止",
            "有效日期",
            "截止日期",
            "截止时间",
            "结束时间",
            "结束日期",
            "到期日期",
            "到期时间",
            "失效日期",
            "失效时间",
            "布控结束时间",
            "布控截止时间",
            "布控有效期",
        ],
    ),
    (Column::Days, &["days", "weekdays", "星期", "日"]),
    (
        Column::Hours,
        &["hours", "times", "时段", "时间段", "生效时段", "布控时段"],
    ),
    (
        Column::Cameras,
        &[
            "cameras",
            "camera",
            "相机",
            "摄像机",
            "卡口",
            "布控卡口",
            "布控范围",
        ],
    ),
    (Column::Lanes, &["lanes", "lane", "车道", "车道号"]),
    (Column::Direction, &["direction", "方向", "行驶方向"]),
    (
        Column::Other,
        &["no", "id", "index", "line", "#", "序号", "编号"],
    ),
];

impl Column {
    /// By its name in a header. Case, spaces, underscores and what stands in brackets do not count.
    pub fn by_name(name: &str) -> Option<Self> {
        let bare = bare(name);
        let known = COLUMNS
            .iter()
            .find(|(_, names)| names.contains(&bare.as_str()));
        known.map(|(column, _)| *column)
    }

    /// The name that is probably meant by one that is none.
    pub fn meant(name: &str) -> Option<&'static str> {
        let bare = bare(name);
        let names = COLUMNS.iter().flat_map(|(_, names)| names.iter());
        names
            .map(|known| (strsim::damerau_levenshtein(&bare, known), *known))
            // Chinese names share characters without meaning the same, and a word that is part of
            // another one is no misspelling of it.
            .filter(|(edits, known)| {
                let few = *edits <= 2 && 3 * edits <= bare.len();
                few && known.is_ascii() && bare.is_ascii()
            })
            .min_by_key(|(edits, _)| *edits)
            .map(|(_, known)| Self::by_name(known).map_or(known, Self::name))
    }

    /// As an export writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plate => "plate",
            Self::Kind => "kind",
            Self::Colour => "colour",
            Self::Class => "class",
            Self::Category => "category",
            Self::Level => "level",
            Self::Authority => "authority",
            Self::Basis => "basis",
            Self::Reason => "reason",
            Self::From => "valid_from",
            Self::Until => "valid_until",
            Self::Days => "days",
            Self::Hours => "hours",
            Self::Cameras => "cameras",
            Self::Lanes => "lanes",
            Self::Direction => "direction",
            Self::Other => "no",
        }
    }
}

fn bare(name: &str) -> String {
    let name = name.split(['(', '（', '[', '【']).next().unwrap_or(name);
    name.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-' | '*' | '：' | ':' | '\u{feff}'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// A level by its colour or its rank.
pub(super) fn level(text: &str) -> Result<Level, String> {
    let bare = bare(text);
    let bare = bare
        .trim_end_matches("预警")
        .trim_end_matches('色')
        .trim_end_matches('级');
    match bare {
        "red" | "红" | "一" | "1" | "i" | "ⅰ" => Ok(Level::Red),
        "orange" | "橙" | "二" | "2" | "ii" | "ⅱ" => Ok(Level::Orange),
        "yellow" | "黄" | "三" | "3" | "iii" | "ⅲ" => Ok(Level::Yellow),
        "blue" | "蓝" | "四" | "4" | "iv" | "ⅳ" => Ok(Level::Blue),
        "" => Err("the level is empty; write red, orange, yellow or blue".to_owned()),
        _ => Err(format!(
            "level {text:?} is none of red, orange, yellow, blue (红 橙 黄 蓝)"
        )),
    }
}

const CATEGORIES: &[(&str, &[&str])] = &[
    (
        "stolen",
        &[
            "stolen",
            "theft",
            "被盗",
            "被盗抢",
            "盗抢",
            "盗抢车",
            "盗抢车辆",
            "失窃",
            "被盗车辆",
            "被抢",
        ],
    ),
    (
        "wanted",
        &[
            "wanted",
            "在逃",
            "通缉",
            "在逃人员",
            "涉案",
            "涉案车辆",
            "嫌疑",
            "嫌疑车辆",
            "肇事逃逸",
        ],
    ),
    (
        "clone_suspected",
        &[
            "clonesuspected",
            "clone",
            "cloned",
            "套牌",
            "套牌嫌疑",
            "涉嫌套牌",
            "套牌车",
            "假套牌",
            "假牌套牌",
        ],
    ),
    (
        "hazardous_goods",
        &[
            "hazardousgoods",
            "hazmat",
            "dangerousgoods",
            "危化品",
            "危险品",
            "危险货物",
            "危化品车",
            "危险品车辆",
        ],
    ),
    (
        "emission_class",
        &[
            "emissionclass",
            "emission",
            "emissions",
            "排放",
            "排放标准",
            "黄标车",
            "高排放",
            "排放超标",
        ],
    ),
    (
        "overdue_inspection",
        &[
            "overdueinspection",
            "inspectionoverdue",
            "逾期未检",
            "逾期未检验",
            "未年检",
            "脱审",
            "未检验",
            "逾期未年检",
        ],
    ),
];

/// The known word for a category; what is known by none stays as it is.
pub(super) fn category(text: &str) -> &str {
    let bare = bare(text);
    CATEGORIES
        .iter()
        .find(|(_, words)| words.contains(&bare.as_str()))
        .map_or(text, |(known, _)| known)
}

/// A kind by its code or its Chinese name. Spreadsheets drop the zero before a digit.
pub(super) fn kind(text: &str) -> Result<PlateKind, String> {
    let code = text.split([' ', ':', '：']).next().unwrap_or(text);
    let by_name = || {
        PlateKind::ALL.iter().copied().find(|k| {
            k.zh() == text || k.zh().trim_end_matches("号牌") == text.trim_end_matches("号牌")
        })
    };
    PlateKind::from_code(&format!("{code:0>2}"))
        .or_else(by_name)
        .ok_or_else(|| format!("kind {text:?} is no code of GA 36, as 02 is"))
}

pub(super) fn colour(text: &str) -> Result<PlateColour, String> {
    let lower = text.to_lowercase().replace([' ', '-'], "_");
    let short = text
        .trim_end_matches('色')
        .trim_end_matches("牌")
        .trim_end_matches('色');
    let other = match short {
        "渐变绿" | "绿底" => Some(PlateColour::Green),
        "黄绿双拼" | "黄绿双" => Some(PlateColour::YellowGreen),
        _ => None,
    };
    PlateColour::ALL
        .iter()
        .copied()
        .find(|c| c.as_str() == lower || c.zh() == short)
        .or(other)
        .ok_or_else(|| {
            format!("colour {text:?} is none of blue, yellow, green, yellow_green, white, black")
        })
}

pub(super) fn class(text: &str) -> Result<VehicleClass, String> {
    let lower = text.to_lowercase();
    let other = match text {
        "轿车" | "小客车" | "小型汽车" | "小型车" | "越野车" | "面包车" => {
            Some(VehicleClass::Car)
        }
        "大客车" | "公交车" | "大型客车" | "巴士" => Some(VehicleClass::Bus),
        "卡车" | "大货车" | "重型货车" | "挂车" | "货运车" => {
            Some(VehicleClass::Truck)
        }
        "摩托" | "两轮摩托车" => Some(VehicleClass::Motorcycle),
        _ => None,
    };
    VehicleClass::ALL
        .iter()
        .copied()
        .find(|c| c.as_str() == lower || c.zh() == text)
        .or(other)
        .ok_or_else(|| format!("class {text:?} is none of car, bus, truck, motorcycle, bicycle"))
}

pub(super) fn direction(text: &str) -> Result<Direction, String> {
    match text.to_lowercase().as_str() {
        "approaching" | "驶近" | "来向" | "进" | "入" => Ok(Direction::Approaching),
        "leaving" | "驶离" | "去向" | "出" => Ok(Direction::Leaving),
        _ => Err(format!(
            "direction {text:?} is neither approaching nor leaving (驶近, 驶离)"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn columns_are_known_however_they_are_written() {
        for (name, column) in [
            ("plate", Column::Plate),
            ("号牌号码", Column::Plate),
            ("车牌号（必填）", Column::Plate),
            ("License Plate", Column::Plate),
            ("Valid_Until", Column::Until),
            ("有效期至", Column::Until),
            ("预警级别", Column::Level),
            ("布控单位", Column::Authority),
            ("序号", Column::Other),
        ] {
            assert_eq!(Column::by_name(name), Some(column), "{name}");
        }
        assert_eq!(Column::by_name("车主"), None);
        assert_eq!(Column::meant("valid_untl"), Some("valid_until"));
        assert_eq!(Column::meant("reasn"), Some("reason"));
        assert_eq!(
            (Column::meant("owner"), Column::meant("车主")),
            (None, None)
        );
        for (column, names) in COLUMNS {
            assert_eq!(Column::by_name(column.name()), Some(*column));
            let twice = |n: &str| COLUMNS.iter().filter(|(_, all)| all.contains(&n)).count();
            assert!(
                names.iter().all(|n| bare(n) == *n && twice(n) == 1),
                "{names:?}"
            );
        }
    }

    #[test]
    fn words_of_both_languages_mean_the_same() {
        for text in ["red", "RED", "红", "红色", "红色预警", "一级", "1"] {
            assert_eq!(level(text), Ok(Level::Red), "{text}");
        }
        assert!(level("purple").unwrap_err().contains("red, orange"));
        for (text, known) in [
            ("被盗", "stolen"),
            ("Stolen", "stolen"),
            ("套牌嫌疑", "clone_suspected"),
            ("逾期未检验", "overdue_inspection"),
            ("tax", "tax"),
            ("本所关注", "本所关注"),
        ] {
            assert_eq!(category(text), known);
        }
        for text in ["2", "02", "小型汽车号牌", "小型汽车"] {
            assert_eq!(kind(text), Ok(PlateKind::Small), "{text}");
        }
        assert!(kind("77").is_err() && kind("blue").is_err());
        for text in ["yellow_green", "Yellow-Green", "黄绿", "黄绿双拼色"] {
            assert_eq!(colour(text), Ok(PlateColour::YellowGreen), "{text}");
        }
        assert_eq!(colour("蓝色"), Ok(PlateColour::Blue));
        assert_eq!(
            (class("货车"), class("Car")),
            (Ok(VehicleClass::Truck), Ok(VehicleClass::Car))
        );
        assert_eq!(direction("驶离"), Ok(Direction::Leaving));
        assert!(direction("north").is_err());
    }
}
