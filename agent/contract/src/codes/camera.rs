//! How a camera is.

use super::word_list;
use crate::status::Health;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

word_list! {
    /// How a camera is. Where several hold at once, the one that stands later here is told, since it explains or hides
    /// those before it: who sees black cannot say where the camera looks, and without frames there is nothing to see.
    /// `ok` gives way to all but `starting`.
    pub enum CameraState {
        /// No frame since the agent, or the camera's duty, began.
        Starting = "starting", "启动中";
        Ok = "ok", "正常";
        /// The box cannot keep up: too few frames are looked at while vehicles pass.
        Overloaded = "overloaded", "处理不及";
        /// Fewer frames arrive than the camera sends or is configured to send.
        LowRate = "low_rate", "帧率过低";
        /// The picture is not of the configured size, or its size changed in mid-stream.
        WrongSize = "wrong_size", "画面尺寸不符";
        /// The camera shows another place than it did.
        TurnedAway = "turned_away", "视角偏移";
        /// The very same picture again and again.
        Frozen = "frozen", "画面冻结";
        /// Most of the picture is white: glare, or a fault of the exposure.
        Blinded = "blinded", "画面过曝";
        /// Dark and without structure: covered, or without light.
        Black = "black", "画面全黑";
        /// Connected, and no frame comes.
        NoFrames = "no_frames", "无画面";
        /// What comes cannot be decoded, or the stream breaks off.
        BrokenStream = "broken_stream", "码流异常";
        /// It is there and has no session free for us: too many watch it.
        Busy = "busy", "会话已满";
        /// It cannot be connected to.
        Unreachable = "unreachable", "无法连接";
        /// It does not take user and password.
        Unauthorised = "unauthorised", "认证失败";
        /// Frames come and cannot be worked on: the models or the agent's own part for this camera fails.
        PipelineFailed = "pipeline_failed", "识别故障";
        /// By its schedule nothing is looked at now.
        OffDuty = "off_duty", "非工作时段";
        /// A recording that is not repeated is over.
        Ended = "ended", "录像结束";
    }
}

impl CameraState {
    /// `degraded`: passages are still recorded, perhaps not all. `failed`: none can be.
    pub const fn health(self) -> Health {
        match self {
            Self::Ok | Self::OffDuty | Self::Ended => Health::Ok,
            Self::Starting
            | Self::Overloaded
            | Self::LowRate
            | Self::WrongSize
            | Self::TurnedAway => Health::Degraded,
            Self::Frozen
            | Self::Blinded
            | Self::Black
            | Self::NoFrames
            | Self::BrokenStream
            | Self::Busy
            | Self::Unreachable
            | Self::Unauthorised
            | Self::PipelineFailed => Health::Failed,
        }
    }
}
