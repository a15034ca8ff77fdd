//! How many frames come in a second, over a sliding time.

use std::collections::VecDeque;
use std::time::Duration;

/// Pieces that the sliding time is counted in.
const PIECES: u32 = 20;
/// A learnt rate sinks by this share for each sliding time that came slower: a camera set to fewer
/// frames for good is told once, for some twenty minutes, and then believed.
const SINK: f32 = 0.005;

#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    number: u64,
    frames: u32,
    damaged: u32,
}

/// Counts frames; learns what the stream's own rate is.
#[derive(Debug)]
pub struct Rate {
    piece: Duration,
    over: Duration,
    began: Duration,
    pieces: VecDeque<Piece>,
    /// The fastest the stream has been over a whole sliding time.
    pub learnt: Option<f32>,
    taught: Duration,
}

impl Rate {
    pub fn new(over: Duration, now: Duration) -> Self {
        let over = over.max(Duration::from_millis(u64::from(PIECES)));
        Self {
            piece: over / PIECES,
            over,
            began: now,
            pieces: VecDeque::new(),
            learnt: None,
            taught: now,
        }
    }

    /// Counts from here on: what was before is of another connection.
    pub fn restart(&mut self, now: Duration) {
        self.pieces.clear();
        (self.began, self.taught) = (now, now);
    }

    pub fn frame(&mut self, now: Duration) {
        self.at(now).frames += 1;
        if self.known(now) && now.saturating_sub(self.taught) >= self.over {
            let fps = self.fps(now);
            self.learnt = Some(self.learnt.map_or(fps, |l| fps.max(l * (1.0 - SINK))));
            self.taught = now;
        }
    }

    pub fn damaged(&mut self, now: Duration) {
        self.at(now).damaged += 1;
    }

    /// Whether a whole sliding time has passed.
    pub fn known(&self, now: Duration) -> bool {
        now.saturating_sub(self.began) >= self.over
    }

    /// Frames a second; of less than a second, nothing is known.
    pub fn fps(&self, now: Duration) -> f32 {
        let time = now.saturating_sub(self.began).min(self.over).as_secs_f32();
        let frames: u32 = self.recent(now).map(|p| p.frames).sum();
        if time < 1.0 {
            0.0
        } else {
            frames as f32 / time
        }
    }

    /// The share of frames that could not be decoded; 0 while there are few.
    pub fn damaged_share(&self, now: Duration) -> f32 {
        let (frames, damaged) = self
            .recent(now)
            .fold((0, 0), |(f, d), p| (f + p.frames, d + p.damaged));
        if frames + damaged < 10 {
            0.0
        } else {
            damaged as f32 / (frames + damaged) as f32
        }
    }

    fn number(&self, now: Duration) -> u64 {
        (now.as_nanos() / self.piece.as_nanos().max(1)) as u64
    }

    fn recent(&self, now: Duration) -> impl Iterator<Item = &Piece> {
        let number = self.number(now);
        self.pieces
            .iter()
            .filter(move |p| p.number + u64::from(PIECES) > number)
    }

    fn at(&mut self, now: Duration) -> &mut Piece {
        let number = self.number(now);
        while self
            .pieces
            .front()
            .is_some_and(|p| p.number + u64::from(PIECES) <= number)
        {
            self.pieces.pop_front();
        }
        if self.pieces.back().is_none_or(|p| p.number != number) {
            self.pieces.push_back(Piece {
                number,
                ..Piece::default()
            });
        }
        let last = self.pieces.len() - 1;
        &mut self.pieces[last]
    }
}
