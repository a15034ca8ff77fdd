//! A cheap digest of a picture: what the motion gate and the camera's health are judged by.
//!
//! Only the luma plane is read, and of each cell only a few rows, so that a picture costs a small
//! part of what decoding it cost. Everything later works on some five thousand cells.

/// The Y plane of a picture in NV12, NV21 or I420.
#[derive(Debug, Clone, Copy)]
pub struct Luma<'a> {
    /// In pixels.
    pub width: u32,
    pub height: u32,
    /// Bytes from one row to the next, at least `width`.
    pub stride: usize,
    pub bytes: &'a [u8],
}

impl<'a> Luma<'a> {
    /// A plane without gaps between its rows.
    pub fn packed(width: u32, height: u32, bytes: &'a [u8]) -> Self {
        Self {
            width,
            height,
            stride: width as usize,
            bytes,
        }
    }

    /// Row `y`; shorter where the plane is cut short.
    fn row(&self, y: usize) -> &'a [u8] {
        let from = (y * self.stride).min(self.bytes.len());
        let to = (from + self.width as usize).min(self.bytes.len());
        &self.bytes[from..to]
    }
}

/// Cells across a picture; the height follows its shape.
const COLUMNS: usize = 96;
/// Rows read of each cell. A mean over a few rows of twenty pixels takes a camera's noise of 8
/// levels down to 1.
const ROWS_READ: usize = 4;
/// Pixels compared for the texture are a cell's width over this apart: wider than what compression
/// smears.
const STEPS: usize = 5;

/// Means and textures of a picture's cells, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    pub columns: usize,
    pub rows: usize,
    /// Of the picture, in pixels.
    pub width: u32,
    pub height: u32,
    /// Mean level of each cell, 0 to 255.
    pub mean: Vec<f32>,
    /// Mean step between near pixels of each cell: edges and structure, whatever the level.
    pub texture: Vec<f32>,
    /// What both were made of, exactly: two pictures with the same sums everywhere are the same
    /// picture.
    exact: Vec<[u32; 2]>,
}

impl Grid {
    pub fn of(luma: &Luma<'_>) -> Self {
        let (width, height) = (luma.width as usize, luma.height as usize);
        let columns = COLUMNS.min(width.max(1));
        let rows = (COLUMNS * height / width.max(1))
            .clamp(1, 2 * COLUMNS)
            .min(height.max(1));
        let mut exact = vec![[0_u32; 2]; columns * rows];
        let mut counts = vec![[0_u32; 2]; columns * rows];
        let edges: Vec<usize> = (0..=columns).map(|c| c * width / columns).collect();
        for (row, (sums, counts)) in exact
            .chunks_mut(columns)
            .zip(counts.chunks_mut(columns))
            .enumerate()
        {
            let (from, to) = (row * height / rows, (row + 1) * height / rows);
            let read = ROWS_READ.min(to - from);
            for i in 0..read {
                let line = luma.row(from + (2 * i + 1) * (to - from) / (2 * read));
                add(line, &edges, sums, counts);
            }
        }
        let part = |i: usize| {
            let pairs = exact.iter().zip(&counts);
            pairs
                .map(|(s, n)| s[i] as f32 / n[i].max(1) as f32)
                .collect::<Vec<f32>>()
        };
        let (mean, texture) = (part(0), part(1));
        Self {
            columns,
            rows,
            width: luma.width,
            height: luma.height,
            mean,
            texture,
            exact,
        }
    }

    pub fn len(&self) -> usize {
        self.mean.len()
    }

    pub fn is_empty(&self) -> bool {
        self.mean.is_empty()
    }

    /// Whether both are of pictures of one size, so that cells can be compared.
    pub fn fits(&self, other: &Self) -> bool {
        (self.width, self.height) == (other.width, other.height)
    }

    /// What tells whether two pictures are the same to the last bit, for each cell.
    pub fn exact(&self) -> &[[u32; 2]] {
        &self.exact
    }
}

/// Adds one row of pixels to the cells it runs through.
fn add(line: &[u8], edges: &[usize], sums: &mut [[u32; 2]], counts: &mut [[u32; 2]]) {
    let step = (edges.last().map_or(0, |w| w / (edges.len() - 1)) / STEPS).max(1);
    for (cell, edge) in edges.windows(2).enumerate() {
        let (from, to) = (edge[0].min(line.len()), edge[1].min(line.len()));
        let pixels = &line[from..to];
        sums[cell][0] += pixels.iter().map(|&p| u32::from(p)).sum::<u32>();
        counts[cell][0] += pixels.len() as u32;
        if pixels.len() > step {
            let ahead = &pixels[step..];
            sums[cell][1] += pixels
                .iter()
                .zip(ahead)
                .map(|(&a, &b)| u32::from(a.abs_diff(b)))
                .sum::<u32>();
            counts[cell][1] += ahead.len() as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, f: impl Fn(u32, u32) -> u8) -> Vec<u8> {
        (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| f(x, y))
            .collect()
    }

    #[test]
    fn cells_follow_the_shape_of_the_picture() {
        for (w, h, columns, rows) in [
            (1920, 1080, 96, 54),
            (640, 480, 96, 72),
            (1080, 1920, 96, 170),
            (40, 20, 40, 20),
            (1, 1, 1, 1),
            (0, 0, 1, 1),
        ] {
            let bytes = picture(w, h, |_, _| 7);
            let g = Grid::of(&Luma::packed(w, h, &bytes));
            assert_eq!(
                (g.columns, g.rows, g.len()),
                (columns, rows, columns * rows),
                "{w}x{h}"
            );
            assert!(w == 0 || g.mean.iter().all(|&m| m == 7.0), "{w}x{h}");
            assert!(g.texture.iter().all(|&t| t == 0.0));
        }
    }

    #[test]
    fn means_and_textures_are_those_of_the_pixels() {
        let bytes = picture(192, 108, |x, y| {
            if x < 96 {
                (y / 2) as u8
            } else {
                (x % 2 * 4 + x / 8 % 2 * 100) as u8
            }
        });
        let g = Grid::of(&Luma::packed(192, 108, &bytes));
        assert!((g.mean[0] - 0.0).abs() < 0.5 && (g.mean[53 * 96] - 53.0).abs() < 1.0);
        let wide = picture(1920, 1080, |x, _| if x / 4 % 2 == 0 { 80 } else { 120 });
        let g = Grid::of(&Luma::packed(1920, 1080, &wide));
        assert!(
            g.texture.iter().all(|&t| (t - 40.0).abs() < 0.1),
            "{:?}",
            &g.texture[..4]
        );
        assert!(g.mean.iter().all(|&m| (m - 100.0).abs() <= 4.0));
    }

    #[test]
    fn the_gap_between_rows_is_not_read() {
        let packed = picture(100, 60, |x, y| (x + y) as u8);
        let mut wide = vec![255; 128 * 60];
        for y in 0..60 {
            wide[y * 128..y * 128 + 100].copy_from_slice(&packed[y * 100..(y + 1) * 100]);
        }
        let a = Grid::of(&Luma::packed(100, 60, &packed));
        let b = Grid::of(&Luma {
            width: 100,
            height: 60,
            stride: 128,
            bytes: &wide,
        });
        assert_eq!(a, b);
    }

    /// A plane cut short is somebody else's fault to report; here it must only do no harm.
    #[test]
    fn a_plane_cut_short_does_no_harm() {
        let bytes = vec![9; 1000];
        let g = Grid::of(&Luma::packed(640, 480, &bytes));
        assert_eq!(g.columns, 96);
        assert_eq!(g.mean[95 * 60], 0.0);
    }

    #[test]
    fn one_changed_level_is_seen_exactly() {
        let mut bytes = picture(640, 360, |x, y| (x * 7 + y * 3) as u8);
        let a = Grid::of(&Luma::packed(640, 360, &bytes));
        // A row that is read: the middle of the first of four parts of six pixels.
        bytes[3] ^= 1;
        let b = Grid::of(&Luma::packed(640, 360, &bytes));
        assert!(a.exact()[0] != b.exact()[0] && a.exact()[1..] == b.exact()[1..]);
    }
}
