//! `kakou-central upper`: how it stands with the upper view library.

use std::process::ExitCode;

use crate::store::Store;
use crate::upper::{again, state};

/// Exits with 1 where nobody is registered, or something was refused or given up.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Send what was refused once more, as after its cameras got their DeviceIDs.
    #[arg(long)]
    again: bool,
}

pub async fn show(store: &Store, args: &Args) -> anyhow::Result<ExitCode> {
    let mut client = store.client().await?;
    if args.again {
        let count = again(&mut client).await?;
        super::say(&format!("{count} that were refused are sent once more"))?;
    }
    let state = state::read(&**client).await?;
    for line in state.lines() {
        super::say(&line)?;
    }
    Ok(ExitCode::from(u8::from(!state.is_well())))
}
