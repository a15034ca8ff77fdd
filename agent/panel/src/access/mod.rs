//! Who may come in: users with roles, their passwords, their sessions, and what is tried too often.

mod password;
mod role;
mod sessions;
mod throttle;
mod users;

pub(crate) use password::matches;
pub use password::{PASSWORD_LEAST, PasswordError};
pub use role::{Role, RoleError};
pub(crate) use sessions::{Out, Session, Sessions};
pub(crate) use throttle::Throttle;
pub(crate) use users::NAME_MOST;
pub use users::{User, Users, UsersError};
