//! Points, lines and polygons, in parts of the picture's width and height.

use toml::de::DeValue;

use kakou_traffic::geometry::{Line, Point, Polygon};

use super::super::define::{Kind, Language, Refused, Written};
use super::super::layout;
use super::{said, wrong_type};

/// Smaller than a pixel of any camera: no vehicle is ever in it.
const NO_AREA: f32 = 1e-6;

/// Two points, `[[x, y], [x, y]]`.
pub struct Segment;

impl Kind for Segment {
    type Value = Line;

    fn read(&self, written: &Written<'_>) -> Result<Line, Refused> {
        let points = points(written)?;
        let [a, b] = points.as_slice() else {
            let reason = format!(
                "has {} points; a line has two: [[x, y], [x, y]]",
                points.len()
            );
            return Err(Refused::new(written.span(), reason));
        };
        if a == b {
            return Err(Refused::new(
                written.span(),
                "its two ends are the same point; write one end at each border of the lane",
            ));
        }
        Ok(Line { a: *a, b: *b })
    }

    fn words(&self, language: Language) -> String {
        said(
            language,
            "Two points `[[x, y], [x, y]]`, each 0 to 1",
            "两个点 `[[x, y], [x, y]]`，坐标 0 至 1",
        )
    }
}

/// A polygon, `[[x, y], [x, y], [x, y], ...]`, that has an area and does not cross itself.
pub struct Outline;

impl Kind for Outline {
    type Value = Polygon;

    fn read(&self, written: &Written<'_>) -> Result<Polygon, Refused> {
        let points = points(written)?;
        let refused = |reason: String| Err(Refused::new(written.span(), reason));
        if points.len() < 3 {
            return refused(
                "a polygon has at least three points; write [[x, y], [x, y], [x, y]]".to_owned(),
            );
        }
        let polygon = Polygon(points);
        if let Some((first, second)) = layout::crossing(&polygon) {
            return refused(format!(
                "its edges from point {first} and from point {second} cross; list the points in \
                 order around the border"
            ));
        }
        if layout::area(&polygon) < NO_AREA {
            return refused("its points enclose no area; list the corners of the lane".to_owned());
        }
        Ok(polygon)
    }

    fn words(&self, language: Language) -> String {
        said(
            language,
            "Polygon: at least three points `[[x, y], ...]`, each 0 to 1",
            "多边形：至少三个点 `[[x, y], ...]`，坐标 0 至 1",
        )
    }
}

/// Several polygons.
pub struct Outlines;

impl Kind for Outlines {
    type Value = Vec<Polygon>;

    fn read(&self, written: &Written<'_>) -> Result<Vec<Polygon>, Refused> {
        members(written, "a list of polygons, [[[x, y], [x, y], [x, y]]]")?
            .map(|member| Outline.read(member))
            .collect()
    }

    fn words(&self, language: Language) -> String {
        said(
            language,
            "List of polygons `[[[x, y], ...], ...]`, coordinates 0 to 1",
            "多边形列表 `[[[x, y], ...], ...]`，坐标 0 至 1",
        )
    }
}

fn points(written: &Written<'_>) -> Result<Vec<Point>, Refused> {
    members(written, "a list of points, [[x, y], [x, y]]")?
        .map(point)
        .collect()
}

fn point(written: &Written<'_>) -> Result<Point, Refused> {
    let both: Vec<&Written<'_>> = members(written, "a point, [x, y]")?.collect();
    let [x, y] = both.as_slice() else {
        return Err(Refused::new(
            written.span(),
            "a point has two coordinates, [x, y]",
        ));
    };
    let (x, y) = (coordinate(x)?, coordinate(y)?);
    if (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y) {
        return Ok(Point::new(x, y));
    }
    let how = if x > 1.0 || y > 1.0 {
        "; divide pixels by the width and the height"
    } else {
        ""
    };
    Err(Refused::new(
        written.span(),
        format!("[{x}, {y}] must be in parts of the picture's width and height, 0 to 1{how}"),
    ))
}

fn coordinate(written: &Written<'_>) -> Result<f32, Refused> {
    let number = match written.get_ref() {
        DeValue::Integer(given) => i128::from_str_radix(given.as_str(), given.radix())
            .ok()
            .map(|number| number as f32),
        DeValue::Float(given) => given.as_str().parse().ok(),
        other => return Err(wrong_type(written, other, "a number from 0 to 1")),
    };
    number.ok_or_else(|| Refused::new(written.span(), "is no number; write one from 0 to 1"))
}

fn members<'a>(
    written: &'a Written<'a>,
    wanted: &str,
) -> Result<impl Iterator<Item = &'a Written<'a>>, Refused> {
    match written.get_ref() {
        DeValue::Array(members) => Ok(members.iter()),
        other => Err(wrong_type(written, other, wanted)),
    }
}
