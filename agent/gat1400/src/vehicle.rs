//! The vehicle object as it stands on the wire. Only fields that this side can know; the rest of the
//! standard's are optional and stay away.

use serde::{Deserialize, Serialize};

use crate::ids::{DeviceId, ImageId, ObjectId};

/// `MotorVehicle`, 机动车对象.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MotorVehicle {
    #[serde(rename = "MotorVehicleID")]
    pub motor_vehicle_id: ObjectId,
    pub info_kind: u8,
    #[serde(rename = "SourceID")]
    pub source_id: ImageId,
    #[serde(
        rename = "TollgateID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub tollgate_id: Option<DeviceId>,
    #[serde(rename = "DeviceID")]
    pub device_id: DeviceId,
    #[serde(rename = "StorageUrl1")]
    pub storage_url1: String,
    #[serde(
        rename = "StorageUrl2",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub storage_url2: Option<String>,
    #[serde(
        rename = "StorageUrl5",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub storage_url5: Option<String>,
    pub left_top_x: u32,
    pub left_top_y: u32,
    pub right_btm_x: u32,
    pub right_btm_y: u32,
    pub appear_time: String,
    pub disappear_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane_no: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_plate: Option<bool>,
    pub plate_class: String,
    pub plate_color: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_no: Option<String>,
    pub direction: String,
    pub vehicle_class: String,
    pub vehicle_color: String,
    pub pass_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_of_passed_road: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_suspicious: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_reliability: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_char_reliability: Option<String>,
    pub sub_image_list: SubImageList,
}

/// `{"SubImageInfoObject": [...]}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SubImageList {
    #[serde(rename = "SubImageInfoObject", default)]
    pub images: Vec<SubImage>,
}

/// `SubImageInfo`, 图像子对象.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SubImage {
    #[serde(rename = "ImageID")]
    pub image_id: ImageId,
    pub event_sort: u32,
    #[serde(rename = "DeviceID")]
    pub device_id: DeviceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_path: Option<String>,
    #[serde(rename = "Type")]
    pub kind: String,
    pub file_format: String,
    pub shot_time: String,
    pub width: u32,
    pub height: u32,
    /// In base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}
