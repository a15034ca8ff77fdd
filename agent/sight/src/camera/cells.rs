//! Which cells of a grid a polygon covers.

use kakou_traffic::geometry::{Point, Polygon};

/// Points tried across and down each cell; polygons are far larger than cells, but their edges are
/// not.
const TRIES: usize = 3;

/// The cells that have a part in the polygon, which is in parts of the picture (0 to 1), row by
/// row.
pub(super) fn covered(polygon: &Polygon, columns: usize, rows: usize) -> Vec<bool> {
    let at = |i: usize, n: usize| (i as f32 + 0.5) / (TRIES * n) as f32;
    let mut cells = vec![false; columns * rows];
    for y in 0..rows * TRIES {
        for x in 0..columns * TRIES {
            let cell = &mut cells[y / TRIES * columns + x / TRIES];
            *cell = *cell || polygon.contains(Point::new(at(x, columns), at(y, rows)));
        }
    }
    cells
}

/// Whether any of the polygons has a part in a cell.
pub(super) fn covered_by_any(polygons: &[Polygon], columns: usize, rows: usize) -> Vec<bool> {
    let mut cells = vec![false; columns * rows];
    for polygon in polygons {
        cells
            .iter_mut()
            .zip(covered(polygon, columns, rows))
            .for_each(|(all, one)| *all |= one);
    }
    cells
}

/// The same with its surroundings, in cells to either side, above, and below.
pub(super) fn grown(
    cells: &[bool],
    columns: usize,
    side: usize,
    up: usize,
    down: usize,
) -> Vec<bool> {
    let rows = cells.len() / columns.max(1);
    let mut wide = vec![false; cells.len()];
    for (i, _) in cells.iter().enumerate().filter(|&(_, &on)| on) {
        let (x, y) = (i % columns, i / columns);
        for row in y.saturating_sub(up)..=(y + down).min(rows - 1) {
            let (from, to) = (x.saturating_sub(side), (x + side).min(columns - 1));
            wide[row * columns + from..=row * columns + to].fill(true);
        }
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_a_polygon_and_its_surroundings() {
        let p = |x: f32, y: f32| Point::new(x, y);
        let square = Polygon(vec![
            p(0.25, 0.25),
            p(0.75, 0.25),
            p(0.75, 0.75),
            p(0.25, 0.75),
        ]);
        let cells = covered(&square, 8, 8);
        let on = |cells: &[bool]| cells.iter().filter(|&&c| c).count();
        assert!(on(&cells) == 16 && cells[2 * 8 + 2] && cells[5 * 8 + 5] && !cells[8 + 2]);
        let wide = grown(&cells, 8, 1, 2, 9);
        assert!(on(&wide) == 6 * 8 && wide[1] && !wide[0]);
        // A sliver thinner than a cell is not lost.
        let sliver = Polygon(vec![p(0.0, 0.51), p(1.0, 0.51), p(1.0, 0.56), p(0.0, 0.56)]);
        assert_eq!(on(&covered(&sliver, 8, 8)), 8);
        assert_eq!(on(&covered_by_any(&[square, sliver], 8, 8)), 16 + 4);
    }
}
