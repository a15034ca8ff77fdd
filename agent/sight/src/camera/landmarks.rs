//! Whether the scene is still the one that was learnt: kerbs, poles, roofs, markings as directions
//! of edges.
//!
//! Once a second the pictures since are averaged. In each cell the edge's direction is taken in
//! double angle, so that an edge that turns from dark-on-bright to bright-on-dark (as under head
//! lights or infrared) stays itself, and its strength is squashed, so that one lamp does not
//! outweigh the street. Blocks of cells then vote.

use std::time::Duration;

use super::grid::Grid;

/// Cells of a block across and down.
const BLOCK: (usize, usize) = (12, 9);
const EVERY: Duration = Duration::from_secs(1);
/// The step between cells, in levels, at which an edge has half its weight.
const HALF: f32 = 4.0;
/// The least sum of squared weights that makes a block's edges landmarks: four clear cells.
const LANDMARK: f32 = 4.0;
/// Blocks with landmarks that are enough to judge.
const ENOUGH: usize = 4;
/// How well a block's edges must agree, as a correlation of -1 to 1. In the sample footage by day
/// 67 to 85 % of the blocks do with traffic in them, at dusk 58 %, upside down 12 %, and moved by a
/// fifth of the picture 8 %.
const AGREE: f32 = 0.5;
/// A block whose edges have faded to this part of the landmarks' weight has none any more.
const FADED: f32 = 0.15;
/// A block as dark as this may have lost its edges to the night.
const DARK: f32 = 45.0;
/// The reference follows what matches over this time.
const FOLLOW: Duration = Duration::from_secs(300);

type Edge = [f32; 2];

#[derive(Debug)]
pub(super) struct Landmarks {
    columns: usize,
    open: Vec<bool>,
    learn: Duration,
    sum: Vec<f32>,
    pictures: u32,
    began: Option<Duration>,
    judged: Option<Duration>,
    reference: Vec<Edge>,
}

impl Landmarks {
    pub fn new(columns: usize, masked: &[bool], learn: Duration) -> Self {
        let n = masked.len();
        Self {
            columns,
            open: masked.iter().map(|m| !m).collect(),
            learn,
            sum: vec![0.0; n],
            pictures: 0,
            began: None,
            judged: None,
            reference: vec![[0.0; 2]; n],
        }
    }

    /// Takes in a picture. Once a second, the share of blocks that match, or `None` inside if that
    /// cannot be told.
    pub fn update(&mut self, grid: &Grid, now: Duration, well: f32) -> Option<Option<f32>> {
        let began = *self.began.get_or_insert(now);
        let judged = *self.judged.get_or_insert(now);
        self.sum
            .iter_mut()
            .zip(&grid.mean)
            .for_each(|(s, &m)| *s += m);
        self.pictures += 1;
        let passed = now.saturating_sub(judged);
        if passed < EVERY {
            return None;
        }
        self.judged = Some(now);
        let pictures = std::mem::take(&mut self.pictures) as f32;
        let mean: Vec<f32> = self
            .sum
            .iter_mut()
            .map(|s| std::mem::take(s) / pictures)
            .collect();
        let edges = self.edges(&mean);
        let passed = passed.min(2 * EVERY).as_secs_f32();
        let young = now.saturating_sub(began) < self.learn;
        let share = if young {
            None
        } else {
            self.matching(&edges, &mean)
        };
        // What cannot be judged is learnt as in the beginning: the night may have had nothing to
        // learn.
        let over = if share.is_none() { self.learn } else { FOLLOW };
        if share.is_none_or(|s| s >= well) {
            let by =
                (passed / over.as_secs_f32().max(1.0) * if young { 3.0 } else { 1.0 }).min(1.0);
            for (reference, edge) in self.reference.iter_mut().zip(&edges) {
                for (r, e) in reference.iter_mut().zip(edge) {
                    *r += by * (e - *r);
                }
            }
        }
        Some(share)
    }

    /// Direction and weight of each cell's edge.
    fn edges(&self, mean: &[f32]) -> Vec<Edge> {
        let (columns, rows) = (self.columns, mean.len() / self.columns.max(1));
        let mut edges = vec![[0.0; 2]; mean.len()];
        for y in 1..rows.saturating_sub(1) {
            for x in 1..columns.saturating_sub(1) {
                let i = y * columns + x;
                let near = [i - 1, i + 1, i - columns, i + columns];
                if self.open[i] && near.iter().all(|&n| self.open[n]) {
                    let [dx, dy] = [mean[near[1]] - mean[near[0]], mean[near[3]] - mean[near[2]]];
                    let square = dx * dx + dy * dy;
                    let weight = 1.0 / (square + HALF * HALF);
                    edges[i] = [(dx * dx - dy * dy) * weight, 2.0 * dx * dy * weight];
                }
            }
        }
        edges
    }

    /// The share of the blocks with landmarks whose edges are where they were.
    fn matching(&self, edges: &[Edge], mean: &[f32]) -> Option<f32> {
        let (columns, rows) = (self.columns, mean.len() / self.columns.max(1));
        let (mut matched, mut votes) = (0_usize, 0_usize);
        for y in (0..rows).step_by(BLOCK.1) {
            for x in (0..columns).step_by(BLOCK.0) {
                let block = Block {
                    x,
                    y,
                    x1: (x + BLOCK.0).min(columns),
                    y1: (y + BLOCK.1).min(rows),
                };
                if let Some(agrees) = self.vote(&block, edges, mean) {
                    votes += 1;
                    matched += usize::from(agrees);
                }
            }
        }
        (votes >= ENOUGH).then(|| matched as f32 / votes as f32)
    }

    /// Whether a block's landmarks are where they were; `None`: it has none, or it is too dark to
    /// see them.
    fn vote(&self, block: &Block, edges: &[Edge], mean: &[f32]) -> Option<bool> {
        let (columns, rows) = (
            self.columns as isize,
            (mean.len() / self.columns.max(1)) as isize,
        );
        let size = |e: Edge| e[0].hypot(e[1]);
        let known: f32 = block
            .cells(self.columns)
            .map(|i| size(self.reference[i]).powi(2))
            .sum();
        if known < LANDMARK {
            return None;
        }
        // Wind shakes the camera by less than a cell; a cell of play also allows for heat and
        // slack.
        let shifts = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy)));
        let mut faded = true;
        for (dx, dy) in shifts {
            let (mut agree, mut weight) = (0.0, 0.0_f32);
            for i in block.cells(self.columns) {
                let (x, y) = (i as isize % columns + dx, i as isize / columns + dy);
                if x >= 0 && y >= 0 && x < columns && y < rows {
                    let (now, known) = (edges[(y * columns + x) as usize], self.reference[i]);
                    agree += now[0] * known[0] + now[1] * known[1];
                    weight += now[0] * now[0] + now[1] * now[1];
                }
            }
            if weight >= FADED * known {
                faded = false;
                if agree >= AGREE * (weight * known).sqrt() {
                    return Some(true);
                }
            }
        }
        let cells = block.cells(self.columns).count() as f32;
        let level = block.cells(self.columns).map(|i| mean[i]).sum::<f32>() / cells;
        if faded && level < DARK {
            None
        } else {
            Some(false)
        }
    }
}

struct Block {
    x: usize,
    y: usize,
    x1: usize,
    y1: usize,
}

impl Block {
    fn cells(&self, columns: usize) -> impl Iterator<Item = usize> {
        (self.y..self.y1).flat_map(move |y| (self.x..self.x1).map(move |x| y * columns + x))
    }
}
