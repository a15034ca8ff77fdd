//! The way to a network camera. The agent itself connects to it, checks its certificate, proves who
//! it is, and hands the stream on to ffmpeg, which knows neither the camera's address nor a
//! password, and needs no network but one port of this machine, or none.
//!
//! # Promises
//!
//! - User and password go to the configured host and to no other: no redirect is followed to
//!   another one.
//! - `rtsps://` and `https://` are TLS with a camera that proves itself, by an authority or by a
//!   pinned certificate. There is no way round that.
//! - Whatever way a connection ends, a session that was begun is torn down (RTSP's TEARDOWN): a
//!   camera has few of them, and keeps a lost one for a minute.
//! - What a camera sends is bounded: heads and descriptions by [`rtsp::LARGEST`], waits by
//!   [`Timeouts`].
//! - A fault says what the camera did in the words of whoever has to mend it.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `target` | where the camera is, and who we are |
//! | `tls` | who the camera must be |
//! | `login` | Basic and Digest |
//! | `wire` | RTSP's messages as bytes; pure |
//! | `dialogue` | what is asked, answered and changed on the way; pure |
//! | `rtsp` | the relay of an RTSP stream: from the camera to a port of this machine |
//! | `http` | a stream over HTTP: from the camera into a pipe |
//! | `peer` | who came to that port |
//! | `doors` | the wire and the dialogue for fuzzing |

mod dialogue;
#[doc(hidden)]
pub mod doors;
mod fault;
mod http;
mod login;
mod peer;
mod relay;
mod rtsp;
mod target;
mod tls;
mod wire;

pub use fault::{Fault, FaultKind};
pub use relay::{Opened, Picture, Relay};
pub use target::{Login, Target, Timeouts, Transport};
pub use tls::{Fingerprint, FingerprintError, Trust};

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
type BoxStream = Box<dyn Stream>;
