//! Who may come in: users with roles, their passwords, sessions and tokens, and what is tried too
//! often. The decisions are those of the box's panel.

mod password;
mod role;
mod sessions;
mod throttle;
mod users;

pub(super) use password::matches;
pub use password::{PASSWORD_LEAST, PasswordError};
pub use role::{Role, RoleError};
pub(super) use sessions::{Out, Session, Sessions};
pub(super) use throttle::Throttle;
pub(super) use users::NAME_MOST;
pub use users::{User, Users, UsersError};
