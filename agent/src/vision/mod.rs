//! Finding vehicles and plates and reading them; the only home of `ort`.
mod ctc;
pub mod pixels;
mod retina;
mod runtime;
mod types;
mod vehicles;
pub use ctc::Reader;
pub use retina::PlateDetector;
pub use runtime::{Net, Provider, Runtime, RuntimeError};
pub use types::{Detections, PlateFind, VehicleFind};
pub use vehicles::{Layout, VehicleDetector};
