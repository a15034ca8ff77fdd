//! Subscriptions of the upper library, checked, and what they match.

use chrono::{DateTime, Duration, FixedOffset};
use url::Url;

use crate::codes;
use crate::fault::{FieldError, shown};
use crate::ids::DeviceId;
use crate::stamp;
use crate::vehicle::MotorVehicle;
use crate::wire::SubscribeObject;

const ID_MAX: usize = 33;
const TITLE_MAX: usize = 256;
const URI_MAX: usize = 4_096;
const ADDRESS_MAX: usize = 256;
const INTERVAL_MAX: i64 = 86_400;

/// Hosts that notifications may go to.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<(String, Option<u16>)>);

impl Hosts {
    /// `field` names the list in an error.
    pub fn new(field: &str, hosts: &[String]) -> Result<Self, FieldError> {
        let parse = |text: &String| {
            // Only what an address allows passes, and the port is told from the host as there.
            let url = Url::parse(&format!("http://{text}/")).ok();
            let plain =
                url.filter(|u| u.path() == "/" && u.username().is_empty() && u.query().is_none());
            let host = plain.as_ref().and_then(Url::host_str).map(str::to_owned);
            let written = text
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse().ok());
            host.map(|host| (host, written)).ok_or_else(|| {
                let what = format!("{:?} is no host", shown(text));
                FieldError::new(field, what, "write 10.1.2.3 or 10.1.2.3:8080")
            })
        };
        hosts.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// An entry without a port allows all ports of its host.
    pub fn allows(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        self.0.iter().any(|(host, only)| {
            url.host_str() == Some(host.as_str()) && only.is_none_or(|only| port == Some(only))
        })
    }

    /// The address of `text`, if notifications may go there.
    pub(crate) fn address(&self, field: &str, text: &str) -> Result<Url, FieldError> {
        let wrong = |what: &str| {
            let what = format!("{:?} {what}", shown(text));
            FieldError::new(
                field,
                what,
                "give an http address of a host in notify_hosts",
            )
        };
        if text.len() > ADDRESS_MAX {
            return Err(wrong("is longer than 256 characters"));
        }
        let url = Url::parse(text).map_err(|_| wrong("is no address"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("has a user or a password in it"));
        }
        if !self.allows(&url) {
            return Err(wrong("is not of a host in notify_hosts"));
        }
        Ok(url)
    }
}

/// A subscription that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    object: SubscribeObject,
    resources: Vec<String>,
    begin: DateTime<FixedOffset>,
    end: DateTime<FixedOffset>,
    address: Url,
}

impl Subscription {
    /// The error names the field and the mend.
    pub fn new(object: SubscribeObject, hosts: &Hosts) -> Result<Self, FieldError> {
        let id = &object.subscribe_id;
        let is_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if id.is_empty() || id.len() > ID_MAX || !id.chars().all(is_id) {
            let what = format!("{:?} is not 1 to {ID_MAX} letters and digits", shown(id));
            return Err(FieldError::new(
                "SubscribeID",
                what,
                "give the id of the subscription",
            ));
        }
        short("Title", &object.title, TITLE_MAX)?;
        short("ApplicantName", &object.applicant_name, 50)?;
        short("ApplicantOrg", &object.applicant_org, 100)?;
        short("Reason", object.reason.as_deref().unwrap_or_default(), 256)?;
        short("ResourceURI", &object.resource_uri, URI_MAX)?;
        short("SubscribeDetail", &object.subscribe_detail, 256)?;
        if !entries(&object.subscribe_detail).any(|d| d == codes::DETAIL_MOTOR_VEHICLE) {
            let what = format!("{:?} has no vehicles", shown(&object.subscribe_detail));
            return Err(FieldError::new(
                "SubscribeDetail",
                what,
                "only 13 is served here",
            ));
        }
        let resources: Vec<String> = entries(&object.resource_uri).map(str::to_owned).collect();
        let is_code = |code: &str| {
            matches!(code.len(), 2 | 4 | 6 | 8 | 20) && code.bytes().all(|b| b.is_ascii_digit())
        };
        if let Some(bad) = resources.iter().find(|r| !is_code(r)) {
            let what = format!("{:?} is no DeviceID and no place", shown(bad));
            return Err(FieldError::new(
                "ResourceURI",
                what,
                "give DeviceIDs of 20 digits or places of 2, 4, 6 or 8, separated by commas",
            ));
        }
        if resources.is_empty() {
            let mend = "give the library's DeviceID for all vehicles";
            return Err(FieldError::new("ResourceURI", "empty", mend));
        }
        let begin = stamp::parse("BeginTime", &object.begin_time)?;
        let end = stamp::parse("EndTime", &object.end_time)?;
        if begin > end {
            return Err(FieldError::new(
                "BeginTime",
                "after EndTime",
                "exchange them",
            ));
        }
        let interval = object.report_interval.unwrap_or(0);
        if !(0..=INTERVAL_MAX).contains(&interval) {
            let what = format!("{interval} is not within 0 to {INTERVAL_MAX} seconds");
            return Err(FieldError::new(
                "ReportInterval",
                what,
                "give seconds within them",
            ));
        }
        let address = hosts.address("ReceiveAddr", &object.receive_addr)?;
        Ok(Self {
            object,
            resources,
            begin,
            end,
            address,
        })
    }

    pub fn object(&self) -> &SubscribeObject {
        &self.object
    }

    /// DeviceIDs, TollgateIDs, libraries and beginnings of DeviceIDs: of what it is told.
    pub fn resources(&self) -> &[String] {
        &self.resources
    }

    /// From when to when it is served.
    pub fn period(&self) -> (DateTime<FixedOffset>, DateTime<FixedOffset>) {
        (self.begin, self.end)
    }

    pub fn is_cancelled(&self) -> bool {
        self.object.operate_type == Some(1)
            || matches!(self.object.subscribe_status, Some(1 | 2 | 9))
    }

    /// Where notifications go.
    pub fn address(&self) -> &Url {
        &self.address
    }

    /// Whether the upper library wants to be told of this vehicle now. `library`: our own DeviceID;
    /// who subscribes to the library gets all.
    pub fn matches(
        &self,
        vehicle: &MotorVehicle,
        library: &DeviceId,
        now: DateTime<FixedOffset>,
    ) -> bool {
        self.is_on(now) && self.resources.iter().any(|r| is_of(r, vehicle, library))
    }

    /// Neither cancelled nor outside of its time.
    pub fn is_on(&self, now: DateTime<FixedOffset>) -> bool {
        !self.is_cancelled() && (self.begin..=self.end).contains(&now)
    }

    /// Whether the next notification may go, when the last one went at `last`. A clock that was set
    /// back does not silence it.
    pub fn is_due(&self, last: Option<DateTime<FixedOffset>>, now: DateTime<FixedOffset>) -> bool {
        let interval = Duration::seconds(self.object.report_interval.unwrap_or(0));
        last.is_none_or(|last| now < last || now - last >= interval)
    }

    /// Whether a picture of this type is wanted.
    pub(crate) fn wants(&self, image_type: &str) -> bool {
        let declared = self
            .object
            .result_image_declare
            .as_deref()
            .unwrap_or_default();
        let mut types = entries(declared).peekable();
        types.peek().is_none() || types.any(|t| t == image_type)
    }
}

fn is_of(resource: &str, vehicle: &MotorVehicle, library: &DeviceId) -> bool {
    let device = vehicle.device_id.as_str();
    if resource.len() < DeviceId::LENGTH {
        return device.starts_with(resource);
    }
    resource == device
        || resource == library.as_str()
        || vehicle
            .tollgate_id
            .as_ref()
            .is_some_and(|t| t.as_str() == resource)
}

/// What is separated by commas or semicolons; of a path, its last part.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split([',', ';']).map(str::trim);
    parts
        .map(|part| part.rsplit('/').next().unwrap_or(part))
        .filter(|part| !part.is_empty())
}

fn short(field: &str, text: &str, most: usize) -> Result<(), FieldError> {
    let length = text.chars().count();
    if length <= most {
        return Ok(());
    }
    let what = format!("{length} characters; at most {most} are allowed");
    Err(FieldError::new(field, what, "shorten it"))
}

#[cfg(test)]
#[path = "subscription_tests.rs"]
mod tests;
