//! Questions on a terminal.

use std::io::{BufRead, Write};

use anyhow::{Context, bail};
use kakou_guard::Secret;

use super::table::clean;

/// Asks on stderr and reads from stdin, a line for each answer.
pub struct Terminal;

impl Terminal {
    /// An answer; an empty one is `usual`.
    pub fn ask(&self, question: &str, usual: &str) -> anyhow::Result<String> {
        let shown = match usual {
            "" => format!("{question}: "),
            usual => format!("{question} [{usual}]: "),
        };
        let mut err = std::io::stderr().lock();
        write!(err, "{shown}")
            .and_then(|()| err.flush())
            .context("stderr")?;
        let mut line = String::new();
        let read = std::io::stdin()
            .lock()
            .read_line(&mut line)
            .context("stdin")?;
        if read == 0 {
            bail!("there was no answer to: {question}");
        }
        let answer = line.trim();
        Ok(if answer.is_empty() { usual } else { answer }.to_owned())
    }

    /// The same, until the answer is one that can be used.
    pub fn ask_for<T>(
        &self,
        question: &str,
        usual: &str,
        read: impl Fn(&str) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        loop {
            match read(&self.ask(question, usual)?) {
                Ok(value) => return Ok(value),
                Err(e) => self.say(&format!("{e:#}")),
            }
        }
    }

    /// What is typed is not shown.
    pub fn secret(&self, question: &str) -> anyhow::Result<Secret> {
        let typed = rpassword::prompt_password(format!("{question} (not shown): "));
        Ok(Secret::new(
            typed.context("the password could not be read")?,
        ))
    }

    pub fn yes(&self, question: &str) -> anyhow::Result<bool> {
        let answer = self.ask(&format!("{question} (yes or no)"), "no")?;
        Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    pub fn say(&self, text: &str) {
        // Where stderr is closed there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "  {}", clean(text));
    }
}
