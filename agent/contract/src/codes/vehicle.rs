//! What kinds and colours of vehicles there are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::word_list;

word_list! {
    /// The class of a vehicle, voted over its track. What the detector can tell apart, which is
    /// coarser than the vehicle types of GA 24.
    pub enum VehicleClass {
        /// Passenger cars, SUVs, pickups and vans.
        Car = "car", "小汽车";
        Bus = "bus", "客车";
        Truck = "truck", "货车";
        Motorcycle = "motorcycle", "摩托车";
        Bicycle = "bicycle", "自行车";
    }
}

impl VehicleClass {
    /// Its box in a picture shows mostly the rider and the road.
    pub const fn has_two_wheels(self) -> bool {
        matches!(self, Self::Motorcycle | Self::Bicycle)
    }
}

word_list! {
    /// The colour of most of a vehicle's body: the basic colours of GA 24.8 (机动车车身颜色基本色).
    /// Strong gold is yellow, dark gold brown; orange and reddish brown are red; silver and champagne
    /// grey or white; only a strong pink is pink.
    pub enum VehicleColour {
        White = "white", "白";
        Grey = "grey", "灰";
        Yellow = "yellow", "黄";
        Pink = "pink", "粉";
        Red = "red", "红";
        Purple = "purple", "紫";
        Green = "green", "绿";
        Blue = "blue", "蓝";
        Brown = "brown", "棕";
        Black = "black", "黑";
    }
}

impl VehicleColour {
    /// The letter of GA 24.8. Not verified for G to J: the text of the standard was not to be had.
    pub const fn code(self) -> &'static str {
        match self {
            Self::White => "A",
            Self::Grey => "B",
            Self::Yellow => "C",
            Self::Pink => "D",
            Self::Red => "E",
            Self::Purple => "F",
            Self::Green => "G",
            Self::Blue => "H",
            Self::Brown => "I",
            Self::Black => "J",
        }
    }
}
