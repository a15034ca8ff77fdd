//! Numbers and digests as messages carry them: bounded, and rounded so that a value survives the
//! way into JSON and back unchanged.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How sure something is: 0 to 1 in steps of 0.0001.
///
/// Kept as a whole number: no NaN can reach a message (JSON has none), and equal messages have
/// equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Confidence(u16);

impl Confidence {
    const ONE: u16 = 10_000;

    /// Clamps to 0..=1; NaN counts as 0, "not sure at all".
    pub fn new(value: f32) -> Self {
        // A float to integer `as` saturates and takes NaN to 0.
        Self((f64::from(value).clamp(0.0, 1.0) * f64::from(Self::ONE)).round() as u16)
    }

    pub fn get(self) -> f32 {
        (f64::from(self.0) / f64::from(Self::ONE)) as f32
    }
}

impl From<f32> for Confidence {
    fn from(value: f32) -> Self {
        Self::new(value)
    }
}

impl fmt::Display for Confidence {
    /// As a percentage with one decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.1}%", f64::from(self.0) / 100.0))
    }
}

impl Serialize for Confidence {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(f64::from(self.0) / f64::from(Self::ONE))
    }
}

impl<'de> Deserialize<'de> for Confidence {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(d)?;
        if !(0.0..=1.0).contains(&value) {
            return Err(de::Error::custom(format_args!(
                "confidence {value} is not within 0 to 1"
            )));
        }
        Ok(Self((value * f64::from(Self::ONE)).round() as u16))
    }
}

impl JsonSchema for Confidence {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Confidence".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

/// A place in the picture, in pixels from its left or upper edge, in steps of 0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Px(i32);

impl Px {
    /// The farthest from the edge, either way: beyond all pictures.
    const MAX: f64 = 1_000_000.0;

    /// NaN counts as 0; what is beyond all pictures is brought to the nearest value there is.
    pub fn new(value: f32) -> Self {
        Self((f64::from(value).clamp(-Self::MAX, Self::MAX) * 10.0).round() as i32)
    }

    pub fn get(self) -> f32 {
        (f64::from(self.0) / 10.0) as f32
    }
}

impl From<f32> for Px {
    fn from(value: f32) -> Self {
        Self::new(value)
    }
}

impl Serialize for Px {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(f64::from(self.0) / 10.0)
    }
}

impl<'de> Deserialize<'de> for Px {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(d)?;
        if value.abs() > Self::MAX {
            let max = Self::MAX;
            return Err(de::Error::custom(format_args!(
                "{value} px is not within -{max} to {max}"
            )));
        }
        Ok(Self((value * 10.0).round() as i32))
    }
}

impl JsonSchema for Px {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Px".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": -Self::MAX, "maximum": Self::MAX })
    }
}

/// How many in a second, in steps of 0.1. A whole number inside, for the reasons of [`Confidence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PerSecond(u32);

impl PerSecond {
    const MAX: f64 = 1_000_000.0;

    /// NaN and what is below 0 count as 0; what is too much, as the most there is.
    pub fn new(value: f32) -> Self {
        Self((f64::from(value).clamp(0.0, Self::MAX) * 10.0).round() as u32)
    }

    pub fn get(self) -> f32 {
        (f64::from(self.0) / 10.0) as f32
    }
}

impl From<f32> for PerSecond {
    fn from(value: f32) -> Self {
        Self::new(value)
    }
}

impl Serialize for PerSecond {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(f64::from(self.0) / 10.0)
    }
}

impl<'de> Deserialize<'de> for PerSecond {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(d)?;
        if !(0.0..=Self::MAX).contains(&value) {
            let max = Self::MAX;
            return Err(de::Error::custom(format_args!(
                "{value} a second is not within 0 to {max}"
            )));
        }
        Ok(Self((value * 10.0).round() as u32))
    }
}

impl JsonSchema for PerSecond {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "PerSecond".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": Self::MAX })
    }
}

/// A SHA-256; 64 lower-case hexadecimal digits in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Hex(pub [u8; 32]);

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Hex({self})")
    }
}

impl Serialize for Sha256Hex {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Hex {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(d)?;
        parse_hex(&text).map(Self).ok_or_else(|| {
            de::Error::custom(format_args!(
                "{text:?} is not 64 lower-case hexadecimal digits"
            ))
        })
    }
}

pub(crate) fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

impl JsonSchema for Sha256Hex {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Sha256Hex".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_unspeakable_reaches_json() {
        for (value, json) in [
            (f32::NAN, "0.0"),
            (7.0, "1.0"),
            (-1.0, "0.0"),
            (0.98768, "0.9877"),
        ] {
            assert_eq!(
                serde_json::to_string(&Confidence::new(value)).unwrap(),
                json
            );
        }
        assert_eq!(serde_json::to_string(&Px::new(f32::NAN)).unwrap(), "0.0");
        assert_eq!(serde_json::to_string(&Px::new(-3.26)).unwrap(), "-3.3");
        assert_eq!(
            serde_json::to_string(&PerSecond::new(f32::NAN)).unwrap(),
            "0.0"
        );
        assert_eq!(
            serde_json::to_string(&PerSecond::new(24.96)).unwrap(),
            "25.0"
        );
        assert!(serde_json::from_str::<Confidence>("1.01").is_err());
        assert!(serde_json::from_str::<PerSecond>("-0.1").is_err());
    }

    #[test]
    fn a_whole_number_is_a_confidence_too() {
        assert_eq!(
            serde_json::from_str::<Confidence>("1").unwrap(),
            Confidence::new(1.0)
        );
    }

    #[test]
    fn a_bad_digest_is_refused() {
        for bad in ["", "00", &"g".repeat(64), &"A".repeat(64)] {
            assert!(
                serde_json::from_value::<Sha256Hex>(bad.into()).is_err(),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn values_survive_json(c in any::<f32>(), p in any::<f32>(), r in any::<f32>(), h in any::<[u8; 32]>()) {
            let v = (Confidence::new(c), Px::new(p), PerSecond::new(r), Sha256Hex(h));
            let json = serde_json::to_string(&v).unwrap();
            prop_assert_eq!(serde_json::from_str::<(Confidence, Px, PerSecond, Sha256Hex)>(&json).unwrap(), v);
        }
    }
}
