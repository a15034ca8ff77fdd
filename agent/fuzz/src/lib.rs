//! Every parser that outsiders reach, each given any bytes, and what must hold whatever they are: no
//! panic, no hang, no more memory than its bound, and the promise of the parser itself. What must
//! hold is said by `assert!`.
//!
//! The same functions are run in two ways. `tests/corpora.rs` runs them on the committed corpora and
//! on thousands of changed copies of them, in every `cargo test`. `make fuzz` runs them under
//! libFuzzer (`agent/fuzz/fuzz`), which looks for inputs that reach new code.
//!
//! | file | who sends it |
//! | --- | --- |
//! | `platform` | whoever may publish on a box's command topics, and the broker |
//! | `agents` | whoever may publish on an agent's topics: what `kakou watch` and a platform read |
//! | `lists` | whoever writes a watchlist |
//! | `cameras` | a camera, and what stands in the name or title of a stream |
//! | `editions` | whoever may publish on the topics of lists, and a platform that signs nonsense |
//! | `files` | who hands over a recording, a model or a config |
//! | `database` | a dying disk |
//! | `texts` | anybody whose words are shown |

mod agents;
mod cameras;
mod database;
mod editions;
mod files;
mod lists;
mod platform;
mod texts;

pub use agents::{addresses, continuity, messages, seals, topics};
pub use cameras::{ffmpeg, http, rtsp};
pub use database::database;
pub use editions::editions;
pub use files::{config, frames, manifest, picture};
pub use lists::{watchlist, workbook};
pub use platform::{commands, packets};
pub use texts::texts;

/// Takes any bytes, and panics where something does not hold.
pub type Target = fn(&[u8]);

/// All of them; the name is that of the corpus and of the target of `cargo fuzz`.
pub const TARGETS: [(&str, Target); 19] = [
    ("addresses", addresses),
    ("commands", commands),
    ("config", config),
    ("continuity", continuity),
    ("database", database),
    ("editions", editions),
    ("ffmpeg", ffmpeg),
    ("frames", frames),
    ("http", http),
    ("manifest", manifest),
    ("messages", messages),
    ("packets", packets),
    ("picture", picture),
    ("rtsp", rtsp),
    ("seals", seals),
    ("texts", texts),
    ("topics", topics),
    ("watchlist", watchlist),
    ("workbook", workbook),
];

/// Between the parts of an input that has several; a text has none of it.
const SEPARATOR: u8 = 0x1e;

/// A password that stands in no input by chance.
const PASSWORD: &str = "Tr0ub4dor-and-3";

/// Whether a person may read it: nothing in it steers a terminal or forges a line.
fn is_presentable(text: &str) -> bool {
    kakou_guard::clean_line(text) == text
}
