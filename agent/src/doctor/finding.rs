//! One line of the doctor.

use kakou_guard::presentable;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// It works, and will not for ever, or not well.
    Warning,
    /// It does not work.
    Fault,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// What a finding is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    Config,
    Processor,
    Clock,
    Models,
    Speed,
    State,
    Disk,
    Broker,
    Topics,
    Camera,
}

impl Area {
    pub fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Processor => "processor",
            Self::Clock => "clock",
            Self::Models => "models",
            Self::Speed => "speed",
            Self::State => "state",
            Self::Disk => "disk",
            Self::Broker => "broker",
            Self::Topics => "topics",
            Self::Camera => "camera",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub state: State,
    pub area: Area,
    /// Which of several: a camera's id, a broker's address, a file.
    pub about: Option<String>,
    pub message: String,
    /// What to do.
    pub mend: Option<String>,
}

impl Finding {
    fn new(state: State, area: Area, message: impl AsRef<str>) -> Self {
        Self {
            state,
            area,
            about: None,
            // A broker's or a camera's words may be among them.
            message: presentable(message.as_ref()),
            mend: None,
        }
    }

    pub fn ok(area: Area, message: impl AsRef<str>) -> Self {
        Self::new(State::Ok, area, message)
    }

    pub fn warning(area: Area, message: impl AsRef<str>) -> Self {
        Self::new(State::Warning, area, message)
    }

    pub fn fault(area: Area, message: impl AsRef<str>) -> Self {
        Self::new(State::Fault, area, message)
    }

    pub fn about(mut self, what: impl AsRef<str>) -> Self {
        self.about = Some(presentable(what.as_ref()));
        self
    }

    pub fn mend(mut self, what: impl AsRef<str>) -> Self {
        self.mend = Some(presentable(what.as_ref()));
        self
    }
}
