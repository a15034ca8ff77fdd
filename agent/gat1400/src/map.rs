//! A passage with its pictures becomes a vehicle object.
//!
//! Every field comes from the passage, from what the config says of its camera, or from a code table
//! ([`crate::codes`]). What is not known is left out, or has the table's code for 其他 where the
//! standard wants the field. Nothing is cut: a passage that does not fit gets an error that names the
//! field, and the caller tells it.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kakou_contract::codes::{Direction, EvidenceRole, NoPlateReason, VehicleClass};
use kakou_contract::{Confidence, Evidence, Id, PassageMessage, Plate, VehicleColourRead};

use crate::codes::{self, Heading, PlateClassTable};
use crate::fault::FieldError;
use crate::ids::{DeviceId, ImageId, ObjectId, Slot};
use crate::rules;
use crate::stamp;
use crate::vehicle::{MotorVehicle, SubImage, SubImageList};

/// The most characters of `PlateNo`.
const PLATE_NO_MAX: usize = 15;
/// The most characters of `PlateCharReliability`.
const CHAR_RELIABILITY_MAX: usize = 64;
const SIDE_MAX: u32 = 65_535;

/// Which camera a passage is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CameraKey {
    pub site: Id,
    pub agent: Id,
    pub camera: Id,
}

impl CameraKey {
    pub fn of(passage: &PassageMessage) -> Self {
        Self {
            site: passage.site.clone(),
            agent: passage.agent.clone(),
            camera: passage.camera.clone(),
        }
    }
}

/// What the upper library knows of a camera.
#[derive(Debug, Clone)]
pub struct Site {
    pub device_id: DeviceId,
    pub tollgate_id: Option<DeviceId>,
    /// Whither the camera looks; without it no vehicle has a direction.
    pub looks: Option<Heading>,
    /// The number of each lane: 1 is the leftmost in the direction of travel.
    pub lanes: HashMap<Id, u32>,
    /// Name of the road; at most 64 characters.
    pub road: Option<String>,
}

/// A picture of a passage, to be sent as it is, or to be fetched by the upper library.
#[derive(Debug, Clone)]
pub struct Picture {
    pub role: EvidenceRole,
    /// The encoded picture; goes into `Data`.
    pub bytes: Option<Bytes>,
    /// Where the upper library can fetch it; goes into `StoragePath` and `StorageUrl1`, 2 or 5.
    pub url: Option<String>,
}

/// Why a passage makes no vehicle object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    #[error(
        "camera {camera} of agent {agent} at site {site} has no DeviceID; give it one in the \
         list of cameras"
    )]
    UnknownCamera { site: Id, agent: Id, camera: Id },
    #[error("a bicycle without a plate is no motor vehicle; the upper library is not told of it")]
    NotMotor,
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// How passages become objects.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    pub cameras: HashMap<CameraKey, Site>,
    pub plate_class: PlateClassTable,
    /// A character of a plate that is less sure than this is sent as `-`.
    pub unread_below: Confidence,
}

impl Mapping {
    /// `suspicious`: whether the vehicle is on a list; `None` where that is not to be told.
    pub fn vehicle(
        &self,
        passage: &PassageMessage,
        pictures: &[Picture],
        suspicious: Option<bool>,
    ) -> Result<MotorVehicle, MapError> {
        let key = CameraKey::of(passage);
        let Some(site) = self.cameras.get(&key) else {
            let CameraKey {
                site,
                agent,
                camera,
            } = key;
            return Err(MapError::UnknownCamera {
                site,
                agent,
                camera,
            });
        };
        let class = passage.vehicle.as_ref().map(|v| v.class);
        if class == Some(VehicleClass::Bicycle) && passage.plate.is_none() {
            return Err(MapError::NotMotor);
        }
        let device = &site.device_id;
        let id = |slot| ImageId::of(device, &passage.time, passage.id, slot);
        let source_id = id(Slot::Frame)?;
        let url = |role| {
            let picture = pictures.iter().find(|p| p.role == role);
            picture.and_then(|p| p.url.clone())
        };
        let edges = edges(passage);
        let kind = passage.plate.as_ref().and_then(|p| p.kind);
        let colour = passage.plate.as_ref().and_then(|p| p.colour);
        let body = passage.vehicle.as_ref().and_then(|v| v.colour);
        // The object has no place for a doubt.
        let body = body.filter(VehicleColourRead::is_sure);
        let read = self.read(passage)?;
        let vehicle = MotorVehicle {
            motor_vehicle_id: ObjectId::of(&source_id, passage.id)?,
            info_kind: codes::INFO_AUTOMATIC,
            source_id,
            tollgate_id: site.tollgate_id.clone(),
            device_id: device.clone(),
            storage_url1: url(EvidenceRole::Frame).unwrap_or_default(),
            storage_url2: url(EvidenceRole::Plate),
            storage_url5: url(EvidenceRole::Thumbnail),
            left_top_x: edges[0],
            left_top_y: edges[1],
            right_btm_x: edges[2],
            right_btm_y: edges[3],
            appear_time: stamp::text("AppearTime", &passage.first_seen)?,
            disappear_time: stamp::text("DisappearTime", &passage.last_seen)?,
            lane_no: lane(site, passage),
            has_plate: has_plate(passage),
            plate_class: codes::plate_class(kind, self.plate_class).to_owned(),
            plate_color: colour
                .map_or(codes::COLOUR_OTHER, |c| codes::plate_colour(c.value))
                .to_owned(),
            plate_no: read.text,
            direction: direction(site, passage.direction).to_owned(),
            vehicle_class: class
                .map_or("X99", |class| codes::vehicle_class(class, kind))
                .to_owned(),
            vehicle_color: body
                .map_or(codes::COLOUR_OTHER, |c| codes::vehicle_colour(c.value))
                .to_owned(),
            pass_time: stamp::text("PassTime", &passage.time)?,
            name_of_passed_road: site.road.clone(),
            is_suspicious: suspicious,
            plate_reliability: read.whole,
            plate_char_reliability: read.each,
            sub_image_list: SubImageList {
                images: images(passage, pictures, device)?,
            },
        };
        let value = serde_json::to_value(&vehicle).map_err(|e| {
            FieldError::new(
                "MotorVehicle",
                e.to_string(),
                "report it with the passage's id",
            )
        })?;
        rules::check(&value)?;
        Ok(vehicle)
    }

    fn read(&self, passage: &PassageMessage) -> Result<Read, FieldError> {
        match (&passage.plate, passage.no_plate_reason) {
            (Some(plate), _) => self.plate(plate),
            // It was not looked for, or it must not be told: to say 无车牌 would be untrue.
            (None, Some(NoPlateReason::NotLookedFor | NoPlateReason::Withheld) | None) => {
                Ok(Read::default())
            }
            (None, Some(_)) => Ok(Read {
                text: Some(codes::NO_PLATE.to_owned()),
                ..Read::default()
            }),
        }
    }

    fn plate(&self, plate: &Plate) -> Result<Read, FieldError> {
        let characters = &plate.characters;
        if characters.len() > PLATE_NO_MAX {
            return Err(FieldError::new(
                "PlateNo",
                format!(
                    "{} characters; at most {PLATE_NO_MAX} are allowed",
                    characters.len()
                ),
                "such a read is no plate: look at its picture",
            ));
        }
        if let Some(bad) = characters.iter().find(|c| !c.char.is_alphanumeric()) {
            return Err(FieldError::new(
                "PlateNo",
                format!("{:?} is neither letter nor digit", bad.char),
                "such a read is no plate: look at its picture",
            ));
        }
        let shown = |c: &kakou_contract::Character| {
            if c.confidence < self.unread_below {
                codes::UNREAD
            } else {
                c.char
            }
        };
        let each: Vec<String> = characters
            .iter()
            .map(|c| format!("{}-{}", shown(c), percent(c.confidence)))
            .collect();
        let each = each.join(",");
        Ok(Read {
            text: Some(characters.iter().map(shown).collect()),
            whole: Some(percent(plate.confidence).to_string()),
            // Longer only for a read that is longer than any plate: then it stays away as a whole.
            each: (each.chars().count() <= CHAR_RELIABILITY_MAX).then_some(each),
        })
    }
}

#[derive(Default)]
struct Read {
    text: Option<String>,
    whole: Option<String>,
    each: Option<String>,
}

fn percent(confidence: Confidence) -> u8 {
    // Between 0 and 1, so between 0 and 100.
    (confidence.get() * 100.0).round() as u8
}

/// Left, upper, right and lower edge of the vehicle in the frame. Where the vehicle was not found
/// (only its plate was), or its box lies outside of the frame, it is the whole frame: the vehicle is
/// somewhere in it.
fn edges(passage: &PassageMessage) -> [u32; 4] {
    let most = |side: u32| side.clamp(1, SIDE_MAX);
    let (width, height) = (most(passage.picture.width), most(passage.picture.height));
    let within = |at: f32, most: u32| (at.round().max(0.0) as u32).min(most);
    let whole = [0, 0, width, height];
    let Some(vehicle) = &passage.vehicle else {
        return whole;
    };
    let (x, y) = (vehicle.bounds.x.get(), vehicle.bounds.y.get());
    let found = [
        within(x, width),
        within(y, height),
        within(x + vehicle.bounds.width.get(), width),
        within(y + vehicle.bounds.height.get(), height),
    ];
    if found[0] < found[2] && found[1] < found[3] {
        found
    } else {
        whole
    }
}

fn lane(site: &Site, passage: &PassageMessage) -> Option<u32> {
    site.lanes.get(&passage.lane.as_ref()?.id).copied()
}

/// `None`: not known.
fn has_plate(passage: &PassageMessage) -> Option<bool> {
    match passage.no_plate_reason {
        None => Some(passage.plate.is_some()),
        Some(NoPlateReason::NoneFound) => Some(false),
        Some(NoPlateReason::NotLookedFor) => None,
        Some(
            NoPlateReason::TooSmall
            | NoPlateReason::NotReadable
            | NoPlateReason::TooUncertain
            | NoPlateReason::Withheld,
        ) => Some(true),
    }
}

/// Who comes towards the camera goes against where it looks.
fn direction(site: &Site, direction: Direction) -> &'static str {
    match (site.looks, direction) {
        (Some(looks), Direction::Approaching) => looks.opposite().code(),
        (Some(looks), Direction::Leaving) => looks.code(),
        (Some(_), Direction::Standing | Direction::Unknown) | (None, _) => codes::HEADING_OTHER,
    }
}

/// One picture of each role: the first, where a passage has several.
fn images(
    passage: &PassageMessage,
    pictures: &[Picture],
    device: &DeviceId,
) -> Result<Vec<SubImage>, FieldError> {
    let mut images = Vec::new();
    for role in EvidenceRole::ALL {
        let picture = pictures.iter().find(|p| p.role == *role);
        let evidence = passage.evidence.iter().find(|e| e.role == *role);
        if let (Some(picture), Some(evidence)) = (picture, evidence) {
            images.push(image(passage, picture, evidence, device)?);
        }
    }
    Ok(images)
}

fn image(
    passage: &PassageMessage,
    picture: &Picture,
    evidence: &Evidence,
    device: &DeviceId,
) -> Result<SubImage, FieldError> {
    let slot = match picture.role {
        EvidenceRole::Frame => Slot::Frame,
        EvidenceRole::Plate => Slot::Plate,
        EvidenceRole::Thumbnail => Slot::Thumbnail,
    };
    let format = codes::file_format(&evidence.content_type).ok_or_else(|| {
        FieldError::new(
            "SubImageList.FileFormat",
            format!(
                "{:?} is no format of the standard",
                crate::fault::shown(&evidence.content_type)
            ),
            "send Jpeg, Png, Bmp or Gif",
        )
    })?;
    let shot = evidence.captured_at.unwrap_or(passage.time);
    Ok(SubImage {
        image_id: ImageId::of(device, &passage.time, passage.id, slot)?,
        event_sort: codes::EVENT_PASSAGE,
        device_id: device.clone(),
        storage_path: picture.url.clone(),
        kind: codes::image_type(picture.role).to_owned(),
        file_format: format.to_owned(),
        shot_time: stamp::text("SubImageList.ShotTime", &shot)?,
        width: evidence.width,
        height: evidence.height,
        data: picture.bytes.as_ref().map(|bytes| STANDARD.encode(bytes)),
    })
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
