//! Finding vehicles and plates and reading them; the only home of `ort`.
mod colour;
mod ctc;
mod open;
pub mod pixels;
mod plates;
mod retina;
mod runtime;
mod tworow;
mod types;
mod vehicles;
pub use ctc::Reader;
pub use open::{ModelChoice, OpenError, Opener};
pub use plates::PlateFinder;
pub use retina::{Found, PlateDetector};
pub use runtime::{Net, Provider, Runtime, RuntimeError};
pub use types::{Detections, PlateFind, VehicleFind};
pub use vehicles::{Layout, VehicleDetector};
