//! Who may come in: users with roles and tokens. Passwords, sessions and what is tried too often are
//! [`kakou_entry`]'s.

mod role;
mod users;

pub(super) use kakou_entry::{Out, Session, Sessions, Throttle, matches};
pub use kakou_entry::{PASSWORD_LEAST, PasswordError};
pub use role::{Role, RoleError};
pub(super) use users::NAME_MOST;
pub use users::{User, Users, UsersError};
