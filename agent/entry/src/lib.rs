//! What every HTTP server of Kakou asks of whoever comes: the box's page, and the centre's interface.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `connection` | one connection: TLS, and how long it may take |
//! | `identity` | the server's certificate and key, from their files |
//! | `origin` | whether a request is for this host, and of no page of another origin; pure |
//! | `cookie` | the cookie of a session; pure |
//! | `body` | the body of a request, bounded in size and time |
//! | `headers` | what every answer carries |
//! | `password` | passwords and their hashes |
//! | `sessions` | who is in, and how much one may ask |
//! | `throttle` | what is tried too often; pure |
//! | `metrics` | what Prometheus reads; pure |
//!
//! Who may do what is each server's own.

mod body;
mod connection;
mod cookie;
mod headers;
pub mod identity;
pub mod metrics;
pub mod origin;
mod password;
mod sessions;
mod throttle;

pub use body::{BodyError, with_body};
pub use connection::{Peer, accept, serve_connection};
pub use cookie::Cookie;
pub use headers::guard;
pub use password::{PASSWORD_LEAST, PasswordError, hashed, matches};
pub use sessions::{IDLE, OF_ONE_USER, Out, Session, Sessions, Token, hash_of, is_same, random};
pub use throttle::Throttle;
