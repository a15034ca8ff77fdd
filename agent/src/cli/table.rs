use indicatif::ProgressBar;
use kakou_contract::PassageMessage;
pub struct Table { bar: ProgressBar }
impl Table {
    pub fn new(bar: ProgressBar) -> Self { Self { bar } }
    pub fn row(&mut self, m: &PassageMessage) -> anyhow::Result<()> {
        let s = format!("{} {:?} {} {:?} {:?} {} {} {:?} frames {}", m.time, m.lane.as_ref().map(|l| l.id.as_str().to_owned()),
            m.plate.as_ref().map_or("-", |p| &p.text), m.plate.as_ref().and_then(|p| p.colour.map(|c| c.value)), m.plate.as_ref().map(|p| p.confidence.get()), m.plate.as_ref().map_or(0, |p| p.frames_agreeing), m.direction, m.vehicle.as_ref().map(|v| v.class), m.frames_seen);
        self.bar.suspend(|| println!("{s} reason {:?} seen {}..{}", m.no_plate_reason, m.first_seen, m.last_seen));
        Ok(())
    }
}
