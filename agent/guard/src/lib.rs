//! What keeps secrets in and hostile input out. Every other crate may use it; it uses none.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `secret` | [`Secret`]: a text that no log, error or `{:?}` can show |
//! | `mask` | [`mask`]: a text of others without what may be a secret in it |
//! | `ahead` | what `mask` looks ahead by |
//! | `clean` | [`clean`]: a text of others without what would steer a terminal or forge a line |
//! | `file` | files whose names or contents come from outside: read bounded, made without links |

mod ahead;
mod clean;
pub mod file;
mod mask;
mod secret;

pub use clean::{clean, clean_line, is_steering};
pub use mask::mask;
pub use secret::Secret;

/// A text that came from outside, as a log, a status or an answer may show it: without secrets and
/// without control characters.
pub fn presentable(text: &str) -> String {
    clean_line(&mask(text))
}
