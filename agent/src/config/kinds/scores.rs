//! Least scores, for all levels or for each.

use kakou_contract::Level;
use toml::de::DeValue;

use super::super::define::{Kind, Language, Refused, Shown, Written};
use super::said;

/// A number from 0 to 1 for all levels, or a table with one for each: `{ red = 0.5, blue = 0.1 }`.
/// A level that the table leaves out has 0.
pub struct Scores;

impl Kind for Scores {
    type Value = [f32; 4];

    fn read(&self, written: &Written<'_>) -> Result<[f32; 4], Refused> {
        let DeValue::Table(table) = written.get_ref() else {
            return score(written).map(|all| [all; 4]);
        };
        let mut scores = [0.0; 4];
        for (name, value) in table {
            let level = Level::ALL.iter().position(|l| l.as_str() == name.get_ref());
            let Some(place) = level.and_then(|at| scores.get_mut(at)) else {
                let reason = format!(
                    "`{}` is no level; write red, orange, yellow or blue",
                    kakou_guard::presentable(name.get_ref())
                );
                return Err(Refused::new(name.span(), reason));
            };
            *place = score(value)?;
        }
        Ok(scores)
    }

    fn words(&self, language: Language) -> String {
        said(
            language,
            "Number, 0 to 1, or one for each level: `{ red = 0.5, orange = 0.2 }`",
            "数，0 至 1，或按级别分别给出：`{ red = 0.5, orange = 0.2 }`",
        )
    }
}

impl Shown for Scores {
    fn toml(&self, value: &[f32; 4]) -> String {
        let each = Level::ALL.iter().zip(value);
        match value.iter().all(|v| v == &value[0]) {
            true => format!("{:?}", value[0]),
            false => {
                let each: Vec<String> = each.map(|(l, v)| format!("{l} = {v:?}")).collect();
                format!("{{ {} }}", each.join(", "))
            }
        }
    }
}

fn score(written: &Written<'_>) -> Result<f32, Refused> {
    let number = match written.get_ref() {
        DeValue::Integer(given) => given.as_str().parse().ok(),
        DeValue::Float(given) => given.as_str().parse().ok(),
        _ => None,
    };
    let fits = |n: &f32| (0.0..=1.0).contains(n);
    number.filter(fits).ok_or_else(|| {
        let reason = "must be a number from 0 to 1, or one for each level: { red = 0.5 }";
        Refused::new(written.span(), reason)
    })
}
