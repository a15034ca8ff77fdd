//! What kinds and colours of plates there are in China.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::word_list;

/// The standard that defines the kinds of plates; travels beside each code.
pub const PLATE_KIND_STANDARD: &str = "GA 36";

word_list! {
    /// The ground colour of a plate (GA 36).
    pub enum PlateColour {
        /// Small vehicles.
        Blue = "blue", "蓝";
        /// Large vehicles, trailers, learners, motorcycles.
        Yellow = "yellow", "黄";
        /// Small new-energy vehicles: white at the top turning into green.
        Green = "green", "绿";
        /// Large new-energy vehicles: yellow at the left, green at the right.
        YellowGreen = "yellow_green", "黄绿";
        /// Police, armed police, military.
        White = "white", "白";
        /// Embassies, consulates, Hong Kong and Macao.
        Black = "black", "黑";
    }
}

macro_rules! plate_kinds {
    ($( $(#[$vmeta:meta])* $variant:ident = $code:literal, $zh:literal; )+) => {
        /// The kind of a plate (号牌种类), in JSON `{"code": "02", "standard": "GA 36"}`: a bare "02"
        /// would be one of many lists' codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum PlateKind {
            $( $(#[$vmeta])* $variant, )+
        }

        impl PlateKind {
            /// Every kind, by code.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// Two digits.
            pub const fn code(self) -> &'static str {
                match self { $( Self::$variant => $code, )+ }
            }

            /// The Chinese name.
            pub const fn zh(self) -> &'static str {
                match self { $( Self::$variant => $zh, )+ }
            }
        }
    };
}

plate_kinds! {
    Large = "01", "大型汽车号牌";
    Small = "02", "小型汽车号牌";
    Embassy = "03", "使馆汽车号牌";
    Consulate = "04", "领馆汽车号牌";
    /// 境外: of a company or person from outside the mainland.
    Overseas = "05", "境外汽车号牌";
    /// 外籍: of a foreigner.
    Foreign = "06", "外籍汽车号牌";
    /// Two and three wheels.
    Motorcycle = "07", "普通摩托车号牌";
    LightMotorcycle = "08", "轻便摩托车号牌";
    EmbassyMotorcycle = "09", "使馆摩托车号牌";
    ConsulateMotorcycle = "10", "领馆摩托车号牌";
    OverseasMotorcycle = "11", "境外摩托车号牌";
    ForeignMotorcycle = "12", "外籍摩托车号牌";
    /// Earlier: farm vehicles (农用运输车).
    LowSpeed = "13", "低速车号牌";
    Tractor = "14", "拖拉机号牌";
    Trailer = "15", "挂车号牌";
    /// Driving schools (学).
    Coach = "16", "教练汽车号牌";
    CoachMotorcycle = "17", "教练摩托车号牌";
    Test = "18", "试验汽车号牌";
    TestMotorcycle = "19", "试验摩托车号牌";
    TemporaryEntry = "20", "临时入境汽车号牌";
    TemporaryEntryMotorcycle = "21", "临时入境摩托车号牌";
    Temporary = "22", "临时行驶车号牌";
    Police = "23", "警用汽车号牌";
    PoliceMotorcycle = "24", "警用摩托车号牌";
    HongKong = "26", "香港入出境车号牌";
    Macao = "27", "澳门入出境车号牌";
    ArmedPolice = "31", "武警号牌";
    Military = "32", "军队号牌";
    /// The vehicle carries no plate.
    Missing = "41", "无号牌";
    Fake = "42", "假号牌";
    /// A plate that belongs to another vehicle.
    Misused = "43", "挪用号牌";
    LargeNewEnergy = "51", "大型新能源汽车号牌";
    SmallNewEnergy = "52", "小型新能源汽车号牌";
    Other = "99", "其他号牌";
}

impl PlateKind {
    /// The kind with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.code() == code)
    }
}

/// How a [`PlateKind`] travels.
#[derive(Serialize, Deserialize)]
struct Coded<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    standard: Cow<'a, str>,
}

impl Serialize for PlateKind {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Coded {
            code: self.code().into(),
            standard: PLATE_KIND_STANDARD.into(),
        }
        .serialize(s)
    }
}

impl<'de> Deserialize<'de> for PlateKind {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let Coded { code, standard } = Coded::deserialize(d)?;
        if standard != PLATE_KIND_STANDARD {
            return Err(de::Error::custom(format_args!(
                "plate kind {code:?} is a code of {standard:?}, not of {PLATE_KIND_STANDARD:?}"
            )));
        }
        Self::from_code(&code).ok_or_else(|| {
            de::Error::custom(format_args!(
                "{PLATE_KIND_STANDARD} has no plate kind {code:?}"
            ))
        })
    }
}

impl JsonSchema for PlateKind {
    fn schema_name() -> Cow<'static, str> {
        "PlateKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes: Vec<&str> = Self::ALL.iter().map(|k| k.code()).collect();
        json_schema!({
            "description": "The kind of a plate (号牌种类).",
            "type": "object",
            "properties": {
                "code": { "type": "string", "enum": codes },
                "standard": { "const": PLATE_KIND_STANDARD },
            },
            "required": ["code", "standard"],
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_kind_carries_its_standard() {
        let json = serde_json::to_string(&PlateKind::Small).unwrap();
        assert_eq!(json, r#"{"code":"02","standard":"GA 36"}"#);
        for kind in PlateKind::ALL {
            let json = serde_json::to_string(kind).unwrap();
            assert_eq!(serde_json::from_str::<PlateKind>(&json).unwrap(), *kind);
        }
    }

    #[test]
    fn codes_are_two_digits_and_grow() {
        assert!(PlateKind::ALL.windows(2).all(|w| w[0].code() < w[1].code()));
        assert!(PlateKind::ALL.iter().all(|k| k.code().len() == 2));
    }

    #[test]
    fn a_code_of_another_list_is_refused() {
        let e = serde_json::from_str::<PlateKind>(r#"{"code":"02","standard":"JT/T 415"}"#);
        assert!(e.unwrap_err().to_string().contains("JT/T 415"));
        let e = serde_json::from_str::<PlateKind>(r#"{"code":"77","standard":"GA 36"}"#);
        assert!(e.unwrap_err().to_string().contains("no plate kind \"77\""));
    }
}
