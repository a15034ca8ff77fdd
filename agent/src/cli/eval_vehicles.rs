//! `kakou eval --vehicles`: whether the colours of vehicles are right.

use kakou_contract::VehicleColourRead;
use kakou_sight::camera::decode;
use kakou_sight::vision::{Opener, VehicleDetector, body_colour};
use kakou_traffic::geometry::Rect;

use super::common::print_line;
use crate::config::Config;
use crate::measure::eval::{Colours, TruthPicture};

pub(super) struct VehicleFigures {
    detector: VehicleDetector,
    least: f32,
    colours: Colours,
}

impl VehicleFigures {
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            detector: Opener::new(&config.models)?.vehicles()?,
            least: config.look.vehicle_score,
            colours: Colours::default(),
        })
    }

    /// Looks at the largest vehicle of a picture whose truth names its colour.
    pub(super) fn add(&mut self, picture: &TruthPicture) -> anyhow::Result<()> {
        if picture.vehicle_colours.is_empty() {
            return Ok(());
        }
        let image = decode(&picture.image)
            .map_err(|e| anyhow::anyhow!("{}: {e}", picture.image.display()))?;
        let whole = Rect::new(0.0, 0.0, image.width() as f32, image.height() as f32);
        let found = self.detector.find(&image, whole, self.least)?;
        let largest = found
            .iter()
            .max_by(|a, b| a.rect.area().total_cmp(&b.rect.area()));
        let told = largest.map(|vehicle| body_colour(&image, vehicle.rect));
        self.colours.add(&picture.vehicle_colours, told);
        Ok(())
    }

    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        let c = &self.colours;
        anyhow::ensure!(
            c.vehicles > 0,
            "no picture of these sets has vehicle_colours in its truth.jsonl"
        );
        if json {
            return print_line(&serde_json::to_string(&self.colours)?);
        }
        let percent = |part: usize, of: usize| part as f64 * 100.0 / of.max(1) as f64;
        print_line(&format!(
            "vehicles {}  colour told {} ({:.1} %), right {} ({:.1} % of those told)",
            c.vehicles,
            c.told,
            percent(c.told, c.vehicles),
            c.right,
            percent(c.right, c.told)
        ))?;
        print_line(&format!(
            "of those told with a confidence of {} or more: {} ({:.1} %), right {} ({:.1} %)",
            VehicleColourRead::SURE,
            c.sure,
            percent(c.sure, c.vehicles),
            c.sure_right,
            percent(c.sure_right, c.sure)
        ))?;
        for (known, row) in &c.taken_for {
            let cells: Vec<String> = row.iter().map(|(told, n)| format!("{told} {n}")).collect();
            print_line(&format!("  {known:<7} told as  {}", cells.join("  ")))?;
        }
        Ok(())
    }
}
