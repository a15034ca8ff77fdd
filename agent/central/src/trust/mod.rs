//! Whether everything is there, and still what the agents sealed.
//!
//! | file | what |
//! | --- | --- |
//! | `auditor` | follows each agent's chain over the ledger: gaps, broken links, numbers used twice |
//! | `book` | what is remembered of one agent |
//! | `release` | messages that were kept apart, when the key that they lacked is known |
//! | `resend` | asks agents for what is missing |
//! | `keys` | pinned keys, as an operator sees and sets them |

mod auditor;
mod book;
mod keys;
mod release;
mod resend;

pub use auditor::{Auditor, Swept};
pub use keys::{Given, KeyFault, ListFault, PinnedKey, keys, pin_by_hand, pin_list};
pub use release::release;
pub use resend::ask;
