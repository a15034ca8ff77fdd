//! One read of one plate in one frame, as the reader gave it.

/// One character with the reader's confidence in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CharRead {
    pub ch: char,
    /// The reader's probability for `ch`, 0 to 1.
    pub conf: f32,
    /// The next most probable character at this place, with its probability.
    pub runner_up: Option<(char, f32)>,
}

/// The characters of a plate, left to right (the upper row first where there are two).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlateRead {
    pub chars: Vec<CharRead>,
    /// 1, or 2 where the plate was read as two rows.
    pub rows: u8,
}

impl PlateRead {
    pub fn text(&self) -> String {
        self.chars.iter().map(|c| c.ch).collect()
    }

    /// Mean confidence of the characters; 0 when there are none.
    pub fn mean_conf(&self) -> f32 {
        if self.chars.is_empty() {
            return 0.0;
        }
        self.chars.iter().map(|c| c.conf).sum::<f32>() / self.chars.len() as f32
    }

    pub fn min_conf(&self) -> f32 {
        self.chars
            .iter()
            .map(|c| c.conf)
            .reduce(f32::min)
            .unwrap_or(0.0)
    }
}
