//! The plate reader of kind `ctc-reader`: a straightened plate in, characters with confidences out.

use image::RgbImage;

use super::pixels::planes_bgr;
use super::runtime::{Net, RuntimeError};
use kakou_traffic::plate::{CharRead, PlateRead};

/// Height the reader was trained at.
pub(super) const HEIGHT: u32 = 32;
/// Width its input is padded to. Padding matters: 98.7 % of 1,000 plates right at 320, 94.4 % at
/// 160.
pub(super) const WIDTH: u32 = 320;

pub struct Reader {
    net: Net,
    dictionary: Vec<char>,
    input: Vec<f32>,
}

impl Reader {
    /// `dictionary`: one character a line; output class `i + 1` is its line `i`, class 0 is the
    /// blank.
    pub fn new(net: Net, dictionary: &str) -> Result<Self, RuntimeError> {
        let mut chars = Vec::new();
        // `lines` takes CR LF ends as well, which the published dictionary has.
        for (i, line) in dictionary.lines().enumerate() {
            let mut it = line.chars();
            match (it.next(), it.next()) {
                (Some(c), None) => chars.push(c),
                _ => {
                    return Err(net.error(format!(
                        "dictionary line {}: `{line}` is not one character",
                        i + 1
                    )));
                }
            }
        }
        if !matches!(net.input_dims(), [_, 3, ..]) {
            return Err(net.error(format!(
                "its input is {:?}; kind ctc-reader wants n x 3 x {HEIGHT} x width",
                net.input_dims()
            )));
        }
        Ok(Self {
            net,
            dictionary: chars,
            input: Vec::new(),
        })
    }

    pub fn net(&self) -> &Net {
        &self.net
    }

    /// The dictionary: class `i + 1` is its character `i`.
    pub(super) fn dictionary(&self) -> &[char] {
        &self.dictionary
    }

    /// Reads a straightened plate of height [`HEIGHT`] and at most [`WIDTH`] wide.
    pub(super) fn read_flat(&mut self, plate: &RgbImage) -> Result<PlateRead, RuntimeError> {
        let steps = self.steps(plate)?;
        Ok(decode(&steps, &self.dictionary))
    }

    /// The probabilities of every class, step by step from left to right.
    pub(super) fn steps(&mut self, plate: &RgbImage) -> Result<Steps, RuntimeError> {
        if plate.height() != HEIGHT || plate.width() > WIDTH {
            return Err(self.net.error(format!(
                "a plate of {} x {} was handed to it",
                plate.width(),
                plate.height()
            )));
        }
        self.input.clear();
        self.input.resize(3 * (WIDTH * HEIGHT) as usize, 0.0);
        planes_bgr(
            plate.as_raw(),
            plate.width() as usize,
            WIDTH as usize,
            &mut self.input,
            [127.5; 3],
            1.0 / 127.5,
        );
        let wanted = self.dictionary.len() + 1;
        let steps = self.net.run(
            &[1, 3, i64::from(HEIGHT), i64::from(WIDTH)],
            &self.input,
            |out| {
                let (shape, values) = out.first()?;
                let classes = *shape.last()? as usize;
                (classes == wanted).then(|| Steps {
                    classes,
                    values: values.to_vec(),
                })
            },
        )?;
        steps.ok_or_else(|| {
            self.net.error(format!(
                "its output does not have the dictionary's {} characters and a blank",
                wanted - 1
            ))
        })
    }
}

/// The reader's output: per step the probability of the blank and of each character.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Steps {
    pub(super) classes: usize,
    pub(super) values: Vec<f32>,
}

impl Steps {
    pub(super) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.classes)
    }
}

/// Best-path decoding. A character's confidence is the highest probability in its run of equal
/// steps; its runner-up is the next most probable character at that same step.
pub(super) fn decode(steps: &Steps, dictionary: &[char]) -> PlateRead {
    let mut chars: Vec<CharRead> = Vec::new();
    let mut last = 0usize;
    for step in steps.iter() {
        let mut best = 0usize;
        for (i, v) in step.iter().enumerate() {
            if *v > step[best] {
                best = i;
            }
        }
        if best != 0 {
            let conf = step[best].clamp(0.0, 1.0);
            let runner_up = step
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != 0 && *i != best)
                .max_by(|a, b| a.1.total_cmp(b.1))
                .and_then(|(i, v)| dictionary.get(i - 1).map(|c| (*c, v.clamp(0.0, 1.0))));
            if let Some(&ch) = dictionary.get(best - 1) {
                let new = CharRead {
                    ch,
                    conf,
                    runner_up,
                };
                match chars.last_mut() {
                    Some(c) if best == last => {
                        if conf > c.conf {
                            *c = new;
                        }
                    }
                    _ => chars.push(new),
                }
            }
        }
        last = best;
    }
    PlateRead { chars, rows: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_joined_and_blanks_part_doubles() {
        let dict = ['A', 'B', 'C'];
        #[rustfmt::skip]
        let steps = [
            0.1, 0.8, 0.1, 0.0,
            0.0, 0.9, 0.1, 0.0, // the same A
            0.9, 0.1, 0.0, 0.0,
            0.2, 0.7, 0.0, 0.1, // a second A
            0.0, 0.0, 0.4, 0.6, // C at once after it
        ];
        let r = decode(
            &Steps {
                classes: 4,
                values: steps.to_vec(),
            },
            &dict,
        );
        assert_eq!(r.text(), "AAC");
        assert_eq!(
            r.chars[0],
            CharRead {
                ch: 'A',
                conf: 0.9,
                runner_up: Some(('B', 0.1))
            }
        );
        assert_eq!(r.chars[2].runner_up, Some(('B', 0.4)));
        assert_eq!(
            decode(
                &Steps {
                    classes: 4,
                    values: vec![1.0, 0.0, 0.0, 0.0]
                },
                &dict
            ),
            PlateRead {
                chars: vec![],
                rows: 1
            }
        );
    }
}
