//! A finished passage with its pictures, ready to be sent or shown.

use std::sync::Arc;

use kakou_contract::PassageMessage;
use kakou_sight::camera::{Frame, PixelError};
use kakou_sight::evidence::Picture;
use kakou_sight::evidence::draw::{PassageDrawing, annotated};
use kakou_traffic::geometry::Polygon;
use kakou_traffic::passage::Best;
use uuid::Uuid;

/// A passage with everything that is sent or kept of it.
#[derive(Debug, Clone)]
pub struct Record {
    pub message: PassageMessage,
    /// Ids that parts of this passage were told by before they turned out to be one vehicle.
    pub also: Vec<Uuid>,
    pub pictures: Vec<Picture>,
    pub(super) best: Best<Frame>,
    pub(super) lanes: Arc<[Polygon]>,
}

impl Record {
    /// The best frame with what the agent saw drawn into it.
    pub fn annotated(&self) -> Result<image::RgbImage, PixelError> {
        let text = self
            .message
            .plate
            .as_ref()
            .map_or("", |plate| plate.text.as_str());
        let class = self
            .message
            .vehicle
            .as_ref()
            .map(|vehicle| vehicle.class.to_string())
            .unwrap_or_default();
        let lane = self
            .message
            .lane
            .as_ref()
            .map(|lane| format!(" lane {}", lane.id))
            .unwrap_or_default();
        let note = format!("{class}{lane}");
        let quad = self.best.quad;
        let vehicle = self.best.vehicle;
        Ok(annotated(
            &self.best.frame.to_rgb()?,
            &PassageDrawing {
                lanes: &self.lanes,
                vehicle: vehicle.as_ref(),
                plate: quad.as_ref(),
                text,
                note: note.trim(),
            },
        ))
    }
}
