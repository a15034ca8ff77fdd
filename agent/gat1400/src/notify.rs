//! What a receiver is told.

use chrono::{DateTime, FixedOffset};
use uuid::Uuid;

use crate::codes;
use crate::fault::FieldError;
use crate::ids::{BusinessId, OrgCode};
use crate::stamp;
use crate::subscription::Subscription;
use crate::vehicle::MotorVehicle;
use crate::wire::{
    DispositionNotificationObject, MotorVehicleListObject, SubscribeNotificationObject,
};

/// A title is at most so long.
const TITLE_MAX: usize = 256;
/// The most vehicles of a notification: `InfoIDs` has 1,024 characters at most.
pub const NOTIFICATION_VEHICLES_MAX: usize = 1_024 / (crate::ids::ObjectId::LENGTH + 1);

/// The notification of `vehicles` that match a subscription, with the pictures it wants. `of` makes
/// the notification's id: the same `of` and `now` make the same id, so that a repeat is known as one.
pub fn notification(
    subscription: &Subscription,
    org: &OrgCode,
    of: Uuid,
    now: &DateTime<FixedOffset>,
    mut vehicles: Vec<MotorVehicle>,
) -> Result<SubscribeNotificationObject, FieldError> {
    if vehicles.is_empty() {
        let mend = "tell of one vehicle at least";
        return Err(FieldError::new("MotorVehicleObjectList", "empty", mend));
    }
    if vehicles.len() > NOTIFICATION_VEHICLES_MAX {
        let what = format!(
            "{} vehicles; at most {NOTIFICATION_VEHICLES_MAX} fit",
            vehicles.len()
        );
        return Err(FieldError::new(
            "InfoIDs",
            what,
            "make several notifications",
        ));
    }
    for vehicle in &mut vehicles {
        let images = &mut vehicle.sub_image_list.images;
        images.retain(|image| subscription.wants(&image.kind));
    }
    let ids: Vec<&str> = vehicles
        .iter()
        .map(|v| v.motor_vehicle_id.as_str())
        .collect();
    Ok(SubscribeNotificationObject {
        notification_id: BusinessId::notification(codes::BUSINESS_NOTIFICATION, org, now, of)?,
        subscribe_id: subscription.object().subscribe_id.clone(),
        title: subscription.object().title.clone(),
        trigger_time: stamp::text("TriggerTime", now)?,
        info_ids: ids.join(","),
        execute_operation: 1,
        motor_vehicle_object_list: MotorVehicleListObject {
            motor_vehicle_object: vehicles,
        },
    })
}

/// A hit on a disposition (布控) of the upper library. `hit` is the hit's own id, `title` the
/// disposition's.
pub fn disposition_notification(
    disposition: BusinessId,
    title: &str,
    org: &OrgCode,
    hit: Uuid,
    time: &DateTime<FixedOffset>,
    vehicle: MotorVehicle,
) -> Result<DispositionNotificationObject, FieldError> {
    let length = title.chars().count();
    if length > TITLE_MAX {
        let what = format!("{length} characters; at most {TITLE_MAX} are allowed");
        return Err(FieldError::new("Title", what, "shorten the title"));
    }
    let kind = codes::BUSINESS_DISPOSITION_NOTIFICATION;
    Ok(DispositionNotificationObject {
        notification_id: BusinessId::notification(kind, org, time, hit)?,
        disposition_id: disposition,
        title: title.to_owned(),
        trigger_time: stamp::text("TriggerTime", time)?,
        cnt_object_id: vehicle.motor_vehicle_id.clone(),
        motor_vehicle_object: vehicle,
    })
}
