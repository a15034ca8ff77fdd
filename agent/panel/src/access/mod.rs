//! Who may come in: users with roles, their passwords, their sessions, and what is tried too often.

mod role;
mod sessions;
mod users;

pub use kakou_entry::{PASSWORD_LEAST, PasswordError};
pub(crate) use kakou_entry::{Throttle, matches};
pub use role::{Role, RoleError};
pub(crate) use sessions::{Out, Session, Sessions};
pub(crate) use users::NAME_MOST;
pub use users::{User, Users, UsersError};
