//! Bodies of requests and answers as they stand on the wire, each in its wrapping object.

use serde::{Deserialize, Serialize};

use crate::ids::{BusinessId, DeviceId, ObjectId};
use crate::lenient;
use crate::vehicle::MotorVehicle;

/// What `Register`, `UnRegister` and `Keepalive` carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    #[serde(rename = "DeviceID")]
    pub device_id: DeviceId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Register {
    pub register_object: Device,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnRegister {
    #[serde(rename = "UnRegisterObject")]
    pub unregister_object: Device,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Keepalive {
    pub keepalive_object: Device,
}

/// The upper library's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SystemTime {
    pub system_time_object: SystemTimeObject,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SystemTimeObject {
    #[serde(rename = "VIIDServerID", default, deserialize_with = "lenient::text")]
    pub server_id: String,
    /// 1: by network, 2: by hand.
    #[serde(default, deserialize_with = "lenient::text")]
    pub time_mode: String,
    pub local_time: String,
    #[serde(
        default,
        deserialize_with = "lenient::some_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub time_zone: Option<String>,
}

/// What came of a request, or of one object of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResponseStatusObject {
    #[serde(rename = "RequestURL", default, deserialize_with = "lenient::text")]
    pub request_url: String,
    /// `None`: the library gave none, so nothing is known.
    #[serde(default, deserialize_with = "lenient::whole")]
    pub status_code: Option<i64>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub status_string: String,
    #[serde(
        default,
        deserialize_with = "lenient::some_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub id: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::some_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub local_time: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResponseStatus {
    pub response_status_object: ResponseStatusObject,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResponseStatusList {
    pub response_status_list_object: ResponseStatusListObject,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResponseStatusListObject {
    pub response_status_object: Vec<ResponseStatusObject>,
}

/// `POST /VIID/MotorVehicles`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MotorVehicleList {
    pub motor_vehicle_list_object: MotorVehicleListObject,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MotorVehicleListObject {
    pub motor_vehicle_object: Vec<MotorVehicle>,
}

/// `POST` and `PUT /VIID/Subscribes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SubscribeList {
    pub subscribe_list_object: SubscribeListObject,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SubscribeListObject {
    pub subscribe_object: Vec<SubscribeObject>,
}

/// A subscription (订阅) as the upper library writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SubscribeObject {
    #[serde(rename = "SubscribeID", default, deserialize_with = "lenient::text")]
    pub subscribe_id: String,
    #[serde(default)]
    pub title: String,
    /// What is subscribed to; several are separated by commas. 13: vehicles.
    #[serde(default, deserialize_with = "lenient::text")]
    pub subscribe_detail: String,
    /// 0 checkpoint, 1 device, 4 library, 5 place; only told back.
    #[serde(
        default,
        deserialize_with = "lenient::whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub resource_class: Option<i64>,
    /// Of which checkpoints, devices, libraries or places; several are separated by commas.
    #[serde(rename = "ResourceURI", default, deserialize_with = "lenient::text")]
    pub resource_uri: String,
    #[serde(default)]
    pub applicant_name: String,
    #[serde(default)]
    pub applicant_org: String,
    #[serde(default, deserialize_with = "lenient::text")]
    pub begin_time: String,
    #[serde(default, deserialize_with = "lenient::text")]
    pub end_time: String,
    /// Where notifications go.
    #[serde(default)]
    pub receive_addr: String,
    /// In seconds; 0: at once.
    #[serde(
        default,
        deserialize_with = "lenient::whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub report_interval: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// 0: subscribe, 1: cancel.
    #[serde(
        default,
        deserialize_with = "lenient::whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub operate_type: Option<i64>,
    /// 0 on, 1 cancelled, 2 over, 9 not subscribed.
    #[serde(
        default,
        deserialize_with = "lenient::whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub subscribe_status: Option<i64>,
    /// Types of the pictures that are wanted; -1: none.
    #[serde(
        default,
        deserialize_with = "lenient::some_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub result_image_declare: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub result_feature_declare: Option<i64>,
}

/// `POST` to the `ReceiveAddr` of a subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SubscribeNotificationList {
    pub subscribe_notification_list_object: SubscribeNotificationListObject,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SubscribeNotificationListObject {
    pub subscribe_notification_object: Vec<SubscribeNotificationObject>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SubscribeNotificationObject {
    #[serde(rename = "NotificationID")]
    pub notification_id: BusinessId,
    #[serde(rename = "SubscribeID")]
    pub subscribe_id: String,
    pub title: String,
    pub trigger_time: String,
    /// The ids of the vehicles, separated by commas.
    #[serde(rename = "InfoIDs")]
    pub info_ids: String,
    /// 1: they are new.
    pub execute_operation: u8,
    pub motor_vehicle_object_list: MotorVehicleListObject,
}

/// `POST /VIID/DispositionNotifications`: a vehicle that the upper library looks for has passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DispositionNotificationList {
    pub disposition_notification_list_object: DispositionNotificationListObject,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DispositionNotificationListObject {
    pub disposition_notification_object: Vec<DispositionNotificationObject>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DispositionNotificationObject {
    #[serde(rename = "NotificationID")]
    pub notification_id: BusinessId,
    /// The upper library's disposition (布控) that the vehicle matched.
    #[serde(rename = "DispositionID")]
    pub disposition_id: BusinessId,
    pub title: String,
    pub trigger_time: String,
    #[serde(rename = "CntObjectID")]
    pub cnt_object_id: ObjectId,
    pub motor_vehicle_object: MotorVehicle,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies_stand_in_their_wrapping_objects() {
        let device_id = DeviceId::new("DeviceID", "13010000005030000001").unwrap();
        let device = Device { device_id };
        let inner = json!({"DeviceID": "13010000005030000001"});
        let register = Register {
            register_object: device.clone(),
        };
        assert_eq!(
            serde_json::to_value(register).unwrap(),
            json!({"RegisterObject": inner})
        );
        let un = UnRegister {
            unregister_object: device.clone(),
        };
        assert_eq!(
            serde_json::to_value(un).unwrap(),
            json!({"UnRegisterObject": inner})
        );
        let alive = Keepalive {
            keepalive_object: device,
        };
        assert_eq!(
            serde_json::to_value(alive).unwrap(),
            json!({"KeepaliveObject": inner})
        );
    }

    #[test]
    fn a_status_is_read_with_and_without_quotation_marks() {
        for code in [json!(0), json!("0")] {
            let status: ResponseStatusObject =
                serde_json::from_value(json!({"StatusCode": code, "Id": 7})).unwrap();
            assert_eq!(
                (status.status_code, status.id.as_deref()),
                (Some(0), Some("7"))
            );
        }
        let none: ResponseStatusObject = serde_json::from_value(json!({"StatusCode": ""})).unwrap();
        assert_eq!(none.status_code, None);
        assert!(
            serde_json::from_value::<ResponseStatusObject>(json!({"StatusCode": "OK"})).is_err()
        );
    }

    #[test]
    fn a_subscription_keeps_its_names_on_the_way_through() {
        let given = json!({
            "SubscribeID": "130100000000032031050408153000001", "Title": "过车", "SubscribeDetail": "13",
            "ResourceClass": 0, "ResourceURI": "13010000001210000001", "ApplicantName": "张",
            "ApplicantOrg": "市局", "BeginTime": "20310101000000", "EndTime": "20320101000000",
            "ReceiveAddr": "http://upper:8080/VIID/SubscribeNotifications", "ReportInterval": 3,
            "OperateType": 0, "SubscribeStatus": 0, "ResultImageDeclare": "-1",
            "ResultFeatureDeclare": -1,
        });
        let read: SubscribeObject = serde_json::from_value(given.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), given);
    }
}
