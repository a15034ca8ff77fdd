//! `kakou status`: how the agent on this box is, asked of itself.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use kakou_contract::Health;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::common::print_line;
use super::status_screen::screen;
use crate::app::web::{LocalStatus, SOCKET};

/// An agent answers at once; one that hangs does not.
const WITHIN: Duration = Duration::from_secs(5);
/// Status messages have a bound too.
const MOST: usize = 4 << 20;

/// Show how the running agent is: cameras, broker, what waits, disk, clock, lists.
///
/// Asks the agent over a socket in its state folder, so that it works without broker and network.
/// Exit code: 0 all is well, 1 degraded, 2 failed, 3 no agent answers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The agent's state folder.
    #[arg(
        long,
        value_name = "DIR",
        env = "KAKOU_STATE",
        default_value = "/var/lib/kakou"
    )]
    state: PathBuf,
    /// Print one JSON object: the status message, what is wrong, and what passed each camera.
    #[arg(long)]
    json: bool,
    /// Show it again every two seconds, until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        loop {
            let code = match ask(&args.state).await {
                Ok(status) => {
                    show(&args, &status)?;
                    code(status.status.health)
                }
                Err(e) => {
                    eprintln!("kakou: {e:#}");
                    3
                }
            };
            if !args.watch {
                return Ok(ExitCode::from(code));
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    })
}

fn code(health: Health) -> u8 {
    match health {
        Health::Ok => 0,
        Health::Degraded => 1,
        Health::Failed => 2,
    }
}

fn show(args: &Args, status: &LocalStatus) -> anyhow::Result<()> {
    if args.json {
        return print_line(&serde_json::to_string(status)?);
    }
    if args.watch && std::io::stdout().is_terminal() {
        // From the upper left corner of an empty screen.
        let mut out = std::io::stdout().lock();
        write!(out, "\x1b[H\x1b[2J")?;
    }
    for line in screen(status, crate::log::coloured(&std::io::stdout())) {
        print_line(&line)?;
    }
    Ok(())
}

/// Asks the agent whose state folder this is.
pub(super) async fn ask(state: &Path) -> anyhow::Result<LocalStatus> {
    let answer = fetch(state, "/status").await?;
    serde_json::from_slice(&answer).with_context(|| {
        format!(
            "{}: the answer cannot be understood; is the agent of this version?",
            state.join(SOCKET).display()
        )
    })
}

/// What the agent answers on its socket: `/status` or `/metrics`.
pub(super) async fn fetch(state: &Path, what: &str) -> anyhow::Result<Bytes> {
    let path = state.join(SOCKET);
    let asked = timeout(WITHIN, get(&path, what)).await;
    let answer = asked.with_context(|| {
        format!(
            "{}: the agent does not answer within {} s",
            path.display(),
            WITHIN.as_secs()
        )
    })?;
    answer.with_context(|| {
        format!(
            "no agent answers at {}; is the service running (systemctl status kakou), is this its \
             state folder, and may you read it (root may)?",
            path.display()
        )
    })
}

async fn get(path: &Path, what: &str) -> anyhow::Result<Bytes> {
    let stream = UnixStream::connect(path).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(what)
        .header("host", "kakou")
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        anyhow::ensure!(
            response.status() == StatusCode::OK,
            "the agent answers {}",
            response.status()
        );
        let body = Limited::new(response.into_body(), MOST).collect().await;
        Ok(body.map_err(|e| anyhow::anyhow!("{e}"))?.to_bytes())
    };
    tokio::pin!(exchange, connection);
    loop {
        tokio::select! {
            answer = &mut exchange => return answer,
            // The connection ends only after the answer, or without one.
            ended = &mut connection => ended?,
        }
    }
}
