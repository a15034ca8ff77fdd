//! Vehicle detectors: what the picture is turned into and what comes out, by the model's `kind`.

use std::collections::BTreeMap;

use image::RgbImage;
use kakou_contract::VehicleClass;

use super::pixels::{Scaler, planes_bgr};
use super::runtime::{Net, RuntimeError};
use kakou_traffic::detections::VehicleFind;
use kakou_traffic::geometry::Rect;

/// How a detector's input and output are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VehicleLayout {
    /// NHWC bytes, the picture squashed to the input's size; boxes `y1 x1 y2 x2` (0..1) and class
    /// scores, before NMS.
    SsdCoco,
    /// NCHW floats 0..255 in BGR, letterboxed with 114; grid-relative boxes, objectness and class
    /// scores.
    Yolox,
}

/// A detector of vehicles. `labels` says which output class is which vehicle; others are never
/// looked at.
pub struct VehicleDetector {
    net: Net,
    layout: VehicleLayout,
    width: u32,
    height: u32,
    labels: BTreeMap<usize, VehicleClass>,
    scaler: Scaler,
    input: Vec<f32>,
}

/// Two boxes that overlap more than this are one vehicle.
const NMS_IOU: f32 = 0.5;

impl VehicleDetector {
    pub fn new(
        net: Net,
        layout: VehicleLayout,
        labels: BTreeMap<usize, VehicleClass>,
    ) -> Result<Self, RuntimeError> {
        let dims = net.input_dims();
        let (h, w) = match (layout, dims) {
            (VehicleLayout::SsdCoco, [_, h, w, 3]) => (*h, *w),
            (VehicleLayout::Yolox, [_, 3, h, w]) => (*h, *w),
            _ => {
                let want = if layout == VehicleLayout::SsdCoco {
                    "1 x height x width x 3"
                } else {
                    "1 x 3 x height x width"
                };
                return Err(net.error(format!("its input is {dims:?}, its kind wants {want}")));
            }
        };
        if h <= 0 || w <= 0 {
            return Err(net.error(format!(
                "its input {dims:?} must have a fixed height and width"
            )));
        }
        if labels.is_empty() {
            return Err(net.error("the manifest names none of its classes as a vehicle (labels)"));
        }
        Ok(Self {
            net,
            layout,
            width: w as u32,
            height: h as u32,
            labels,
            scaler: Scaler::default(),
            input: Vec::new(),
        })
    }

    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Vehicles in `region` of the picture with at least `min_score`, in the picture's pixels, best
    /// first.
    pub fn find(
        &mut self,
        picture: &RgbImage,
        region: Rect,
        min_score: f32,
    ) -> Result<Vec<VehicleFind>, RuntimeError> {
        let region = region.clipped(picture.width() as f32, picture.height() as f32);
        let found = match self.layout {
            VehicleLayout::SsdCoco => self.ssd(picture, region, min_score)?,
            VehicleLayout::Yolox => self.yolox(picture, region, min_score)?,
        };
        Ok(suppress(found))
    }

    fn ssd(
        &mut self,
        picture: &RgbImage,
        region: Rect,
        min_score: f32,
    ) -> Result<Vec<VehicleFind>, RuntimeError> {
        let scaled = self
            .scaler
            .scale(picture, region, self.width, self.height)
            .map_err(|e| self.net.error(e))?;
        let Some(scaled) = scaled else {
            return Ok(Vec::new());
        };
        let shape = [1, i64::from(self.height), i64::from(self.width), 3];
        let labels = &self.labels;
        let found = self.net.run(&shape, scaled.rgb, |out| {
            // The two outputs are told apart by their last dimension, so their order does not
            // matter.
            let boxes = out.iter().find(|(s, _)| s.last() == Some(&4))?;
            let (shape, scores) = out.iter().find(|(s, _)| s.last().is_some_and(|n| *n > 4))?;
            let classes = *shape.last()? as usize;
            Some(decode_ssd(
                boxes.1, scores, classes, labels, region, min_score,
            ))
        })?;
        found.ok_or_else(|| {
            self.net.error(
                "its outputs are not boxes (n x 4) and class scores, as kind ssd-coco has them",
            )
        })
    }

    fn yolox(
        &mut self,
        picture: &RgbImage,
        region: Rect,
        min_score: f32,
    ) -> Result<Vec<VehicleFind>, RuntimeError> {
        let ratio = (self.width as f32 / region.width()).min(self.height as f32 / region.height());
        let (w, h) = (
            (region.width() * ratio).round() as u32,
            (region.height() * ratio).round() as u32,
        );
        let (w, h) = (w.min(self.width), h.min(self.height));
        let (width, height) = (self.width as usize, self.height as usize);
        self.input.clear();
        self.input.resize(3 * width * height, 114.0);
        let scaled = self
            .scaler
            .scale(picture, region, w, h)
            .map_err(|e| self.net.error(e))?;
        let Some(scaled) = scaled else {
            return Ok(Vec::new());
        };
        planes_bgr(
            scaled.rgb,
            w as usize,
            width,
            &mut self.input,
            [0.0; 3],
            1.0,
        );
        let shape = [1, 3, i64::from(self.height), i64::from(self.width)];
        let labels = &self.labels;
        let found = self.net.run(&shape, &self.input, |out| {
            let (shape, values) = out.first()?;
            let row = *shape.last()? as usize;
            decode_yolox(
                values,
                row,
                width,
                height,
                labels,
                |x, y| (region.x0 + x / ratio, region.y0 + y / ratio),
                min_score,
            )
        })?;
        found.ok_or_else(|| {
            self.net.error(
                "its output is not n x (5 + classes) over strides 8, 16, 32, as kind yolox has it",
            )
        })
    }
}

fn decode_ssd(
    boxes: &[f32],
    scores: &[f32],
    classes: usize,
    labels: &BTreeMap<usize, VehicleClass>,
    region: Rect,
    min_score: f32,
) -> Vec<VehicleFind> {
    let mut found = Vec::new();
    for (b, s) in boxes.chunks_exact(4).zip(scores.chunks_exact(classes)) {
        let best = labels
            .iter()
            .filter_map(|(i, class)| s.get(*i).map(|v| (*v, *class)))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((score, class)) = best
            && score >= min_score
        {
            let x = |v: f32| region.x0 + v.clamp(0.0, 1.0) * region.width();
            let y = |v: f32| region.y0 + v.clamp(0.0, 1.0) * region.height();
            found.push(VehicleFind {
                rect: Rect::new(x(b[1]), y(b[0]), x(b[3]), y(b[2])),
                class,
                score,
                colour: None,
            });
        }
    }
    found
}

/// YOLOX's decoding: cell (gx, gy) of stride s, values (dx, dy, lw, lh): centre = (g + d) * s, size
/// = exp(l) * s; score = objectness * class score.
fn decode_yolox(
    values: &[f32],
    row: usize,
    width: usize,
    height: usize,
    labels: &BTreeMap<usize, VehicleClass>,
    back: impl Fn(f32, f32) -> (f32, f32),
    min_score: f32,
) -> Option<Vec<VehicleFind>> {
    let cells: usize = [8, 16, 32].iter().map(|s| (width / s) * (height / s)).sum();
    if row < 6 || values.len() != cells * row {
        return None;
    }
    let mut found = Vec::new();
    let mut rows = values.chunks_exact(row);
    for stride in [8usize, 16, 32] {
        for gy in 0..height / stride {
            for gx in 0..width / stride {
                let v = rows.next()?;
                if v[4] < min_score {
                    continue;
                }
                let best = labels
                    .iter()
                    .filter_map(|(i, class)| v.get(5 + i).map(|s| (s * v[4], *class)))
                    .max_by(|a, b| a.0.total_cmp(&b.0));
                let Some((score, class)) = best.filter(|b| b.0 >= min_score) else {
                    continue;
                };
                let s = stride as f32;
                let (cx, cy) = ((gx as f32 + v[0]) * s, (gy as f32 + v[1]) * s);
                let (w, h) = (v[2].exp() * s, v[3].exp() * s);
                let (x0, y0) = back(cx - w / 2.0, cy - h / 2.0);
                let (x1, y1) = back(cx + w / 2.0, cy + h / 2.0);
                found.push(VehicleFind {
                    rect: Rect::new(x0, y0, x1, y1),
                    class,
                    score,
                    colour: None,
                });
            }
        }
    }
    Some(found)
}

/// Car, bus and truck are suppressed against each other: the model gives one vehicle several of
/// them.
fn suppress(mut found: Vec<VehicleFind>) -> Vec<VehicleFind> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<VehicleFind> = Vec::new();
    for f in found {
        if !kept.iter().any(|k| {
            k.class.has_two_wheels() == f.class.has_two_wheels() && k.rect.iou(&f.rect) > NMS_IOU
        }) {
            kept.push(f);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn labels() -> BTreeMap<usize, VehicleClass> {
        BTreeMap::from([(2, VehicleClass::Car), (7, VehicleClass::Truck)])
    }

    #[test]
    fn ssd_boxes_land_in_the_region() {
        let mut scores = vec![0.0; 90];
        scores[0] = 0.99; // a person: never looked at
        scores[2] = 0.8;
        let region = Rect::new(100.0, 50.0, 300.0, 150.0);
        let f = decode_ssd(&[0.1, 0.2, 0.5, 0.7], &scores, 90, &labels(), region, 0.5);
        assert_eq!(f.len(), 1);
        assert_eq!(f[0].class, VehicleClass::Car);
        let want = Rect::new(140.0, 60.0, 240.0, 100.0);
        assert!(f[0].rect.iou(&want) > 0.999, "{:?}", f[0].rect);
    }

    #[test]
    fn yolox_decodes_its_grid() {
        // 32 x 32 input: 16 + 4 + 1 cells, 5 + 8 values each.
        let mut v = vec![0.0f32; 21 * 13];
        let cell = 16 + 2; // stride 16, gy 1, gx 0
        v[cell * 13..cell * 13 + 5].copy_from_slice(&[0.5, 0.5, 0.0, 0.0, 0.9]);
        v[cell * 13 + 5 + 7] = 1.0;
        let f = decode_yolox(&v, 13, 32, 32, &labels(), |x, y| (x * 2.0, y * 2.0), 0.5).unwrap();
        assert_eq!(
            f,
            vec![VehicleFind {
                rect: Rect::new(0.0, 32.0, 32.0, 64.0),
                class: VehicleClass::Truck,
                score: 0.9,
                colour: None,
            }]
        );
        assert!(decode_yolox(&v[13..], 13, 32, 32, &labels(), |x, y| (x, y), 0.5).is_none());
    }

    #[test]
    fn one_vehicle_called_car_and_truck_is_one() {
        let f = |class, score, x| VehicleFind {
            rect: Rect::new(x, 0.0, x + 100.0, 80.0),
            class,
            score,
            colour: None,
        };
        let kept = suppress(vec![
            f(VehicleClass::Car, 0.6, 0.0),
            f(VehicleClass::Truck, 0.7, 5.0),
            f(VehicleClass::Motorcycle, 0.5, 2.0),
        ]);
        assert_eq!(kept.len(), 2);
        assert_eq!(kept[0].class, VehicleClass::Truck);
    }
}
