//! `kakou setup`: from nothing to a box that the platform hears of.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use kakou_contract::Id;
use kakou_guard::Secret;
use kakou_time::{SharedClock, SystemClock};
use kakou_uplink::BrokerAddress;

use super::broker::BrokerUrl;
use super::common::print_line;
use super::doctor::line;
use super::setup_ask::Terminal;
use super::setup_camera::{Account, Camera};
use super::setup_message::{Sent, tell_platform};
use super::setup_probe::try_camera;
use super::setup_vendors::names;
use super::setup_write::{Plan, Planned, may_write};
use crate::config::{Config, is_example};
use crate::doctor::{Finding, Limits, Patient, State, examine, usual_config};

/// Set this box up: write its config, try the cameras, and send the platform a first message.
///
/// Asks on a terminal for what the options do not say. Passwords go into files of their own beside
/// the config, which only root and the agent can read. A config that is there already is not
/// touched without --force, and then kept under another name; the unedited example of the package
/// counts as none.
///
/// Exit code 0: the config is written and all is well. 1: nothing is written. 2: wrong arguments.
/// 3: the config is written, and something has to be mended; the lines before say what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the checkpoint: 1 to 64 of A-Z a-z 0-9 _ -.
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// Id of this box, unique in the city; the same characters.
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// The platform's broker, mqtts://host[:port], or mqtt:// without TLS.
    #[arg(long, value_name = "URL")]
    broker: Option<BrokerUrl>,
    /// Certificates, in PEM, of the authorities that may sign the broker's certificate (mqtts://).
    /// [default: those this machine trusts]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The user at the broker.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A file that holds its password. [default: it is asked for]
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// A camera, as often as there are some: its id and its URL, or its maker (hikvision, dahua,
    /// uniview, tp-link) and address. `hikvision-sub:HOST` is the maker's smaller sub stream.
    #[arg(long = "camera", value_name = "NAME=URL|NAME=VENDOR:HOST")]
    cameras: Vec<String>,
    /// The user of all cameras whose URL names none; one that may only watch.
    #[arg(long, value_name = "NAME")]
    camera_user: Option<String>,
    /// A file that holds its password. [default: it is asked for]
    #[arg(long, value_name = "FILE", requires = "camera_user")]
    camera_password_file: Option<PathBuf>,
    /// The state folder that the config names.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/kakou")]
    state: PathBuf,
    /// The config that is written.
    #[arg(long, value_name = "FILE", default_value_os_t = usual_config().to_path_buf())]
    out: PathBuf,
    /// Write a new config though there is one; the old one is kept beside it.
    #[arg(long)]
    force: bool,
    /// Ask nothing: what is missing is an error, and a camera that cannot be reached is written all
    /// the same, with a note.
    #[arg(long)]
    yes: bool,
    /// Do not try the cameras.
    #[arg(long)]
    no_probe: bool,
}

const WRONG_ARGUMENTS: u8 = 2;
const TO_BE_MENDED: u8 = 3;
const LIMITS: Limits = Limits {
    picture: Duration::from_secs(10),
    listen: Duration::from_secs(4),
    broker: Duration::from_secs(10),
};

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let clock: SharedClock = Arc::new(SystemClock::new());
    let terminal = (!args.yes && std::io::stdin().is_terminal()).then_some(Terminal);
    may_write(&args.out, args.force)?;
    let plan = match plan(&args, terminal.as_ref(), &clock) {
        Ok(plan) => plan,
        Err(e) => {
            eprintln!("kakou: {e:#}");
            return Ok(ExitCode::from(WRONG_ARGUMENTS));
        }
    };
    if let Some(terminal) = &terminal
        && !terminal.yes(&format!("write {}?", args.out.display()))?
    {
        bail!("nothing is written");
    }
    for told in plan.write(&args.out, &clock.wall())? {
        print_line(&told)?;
    }
    let one_failed = plan.cameras.iter().any(|c| matches!(c.seen, Some(Err(_))));
    let faults = doctor(&args.out, &clock)?;
    let arrived = message(&args.out, &clock)?;
    if one_failed || faults > 0 || !arrived {
        print_line("the config is written; mend what is told above, then: kakou doctor")?;
        return Ok(ExitCode::from(TO_BE_MENDED));
    }
    print_line("next: systemctl restart kakou, then: kakou status")?;
    Ok(ExitCode::SUCCESS)
}

/// Reads one value: of an option it must be right, of a question it is asked for again.
fn right<T>(
    option: Option<&String>,
    name: &str,
    terminal: Option<&Terminal>,
    question: &str,
    read: impl Fn(&str) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    match (option, terminal) {
        (None, Some(terminal)) => terminal.ask_for(question, "", read),
        (Some(value), _) => read(value),
        (None, None) => bail!("--{name} is missing"),
    }
}

fn plan(args: &Args, terminal: Option<&Terminal>, clock: &SharedClock) -> anyhow::Result<Plan> {
    let id = |key: &'static str| move |text: &str| Ok(Id::new(key, text)?);
    let about_site = "id of this checkpoint, as west-gate (A-Z a-z 0-9 _ -)";
    let about_agent = "id of this box, unique in the city";
    let site = right(args.site.as_ref(), "site", terminal, about_site, id("site"))?;
    let agent = right(
        args.agent.as_ref(),
        "agent",
        terminal,
        about_agent,
        |text| {
            let agent = id("agent")(text)?;
            ensure!(
                !is_example(site.as_str(), text),
                "`{site}` and `{text}` are the ids of an example; choose your own: 1 to 64 of A-Z a-z \
             0-9 _ - each, and an agent that is unique in the city"
            );
            Ok(agent)
        },
    )?;
    let broker = match (&args.broker, terminal) {
        (Some(url), _) => url.address()?,
        (None, Some(terminal)) => {
            terminal.ask_for("broker, as mqtts://broker.lan", "", |text| {
                Ok(text.parse::<BrokerAddress>()?)
            })?
        }
        (None, None) => bail!("--broker is missing"),
    };
    let ca = ca(args, terminal, &broker)?;
    let account = broker_account(args, terminal, &broker)?;
    let plain = BrokerAddress {
        user: None,
        ..broker
    };
    Ok(Plan {
        site,
        agent,
        broker: plain.to_string(),
        ca,
        account,
        state: std::path::absolute(&args.state)?,
        cameras: cameras(args, terminal, clock)?,
    })
}

fn ca(
    args: &Args,
    terminal: Option<&Terminal>,
    broker: &BrokerAddress,
) -> anyhow::Result<Option<PathBuf>> {
    let read = |text: &str| match text {
        "" => Ok(None),
        path => {
            let path = std::path::absolute(path)?;
            kakou_guard::file::read_bounded(&path, 1 << 20)?;
            Ok(Some(path))
        }
    };
    match (&args.ca, terminal) {
        (Some(_), _) if !broker.tls => bail!("--ca is for TLS; write mqtts:// in --broker"),
        (Some(path), _) => read(&path.display().to_string()),
        (None, Some(terminal)) if broker.tls => terminal.ask_for(
            "file with the authority's certificates (empty: those this machine trusts)",
            "",
            read,
        ),
        (None, _) => Ok(None),
    }
}

/// The password of an option's file, or typed.
fn password(
    file: Option<&PathBuf>,
    terminal: Option<&Terminal>,
    option: &str,
    question: &str,
) -> anyhow::Result<Secret> {
    match (file, terminal) {
        (Some(file), _) => Ok(Secret::from_file(file)?),
        (None, Some(terminal)) => terminal.secret(question),
        (None, None) => bail!("--{option} is missing"),
    }
}

fn broker_account(
    args: &Args,
    terminal: Option<&Terminal>,
    broker: &BrokerAddress,
) -> anyhow::Result<Option<Account>> {
    if let Some(user) = &broker.user {
        ensure!(args.user.is_none(), "--broker has a user too; give it once");
        return Ok(Some(Account {
            user: user.name.clone(),
            password: user.password.clone(),
        }));
    }
    let user = match (&args.user, terminal) {
        (Some(user), _) => user.clone(),
        (None, Some(terminal)) => terminal.ask("user at the broker (empty: none)", "")?,
        (None, None) => return Ok(None),
    };
    if user.is_empty() {
        return Ok(None);
    }
    let file = args.password_file.as_ref();
    let password = password(file, terminal, "password-file", "its password")?;
    Ok(Some(Account { user, password }))
}

fn cameras(
    args: &Args,
    terminal: Option<&Terminal>,
    clock: &SharedClock,
) -> anyhow::Result<Vec<Planned>> {
    let mut planned: Vec<Planned> = Vec::new();
    let shared = match &args.camera_user {
        None => None,
        Some(user) => {
            let file = args.camera_password_file.as_ref();
            let question = format!("password of the cameras' user {user}");
            let password = password(file, terminal, "camera-password-file", &question)?;
            Some(Account {
                user: user.clone(),
                password,
            })
        }
    };
    let mut ids: Vec<Id> = Vec::new();
    for text in &args.cameras {
        let mut camera = Camera::parse(text)?;
        ensure!(
            !ids.contains(&camera.id),
            "camera {} is named twice",
            camera.id
        );
        ids.push(camera.id.clone());
        if camera.url.contains("://") {
            camera.account = camera.account.or(shared.clone());
        }
        planned.push(tried(args, camera, clock)?);
    }
    let Some(terminal) = terminal.filter(|_| args.cameras.is_empty()) else {
        ensure!(
            !planned.is_empty(),
            "--camera is missing; name one at least"
        );
        return Ok(planned);
    };
    loop {
        let id = terminal.ask("id of a camera, as entry (empty: no more cameras)", "")?;
        if id.is_empty() {
            match planned.is_empty() {
                true => terminal.say("one camera at least is needed"),
                false => return Ok(planned),
            }
            continue;
        }
        match asked(args, terminal, &id, &ids, clock) {
            Ok(Some(camera)) => {
                ids.push(camera.camera.id.clone());
                planned.push(camera);
            }
            Ok(None) => {}
            Err(e) => terminal.say(&format!("{e:#}")),
        }
    }
}

/// One camera by questions; `None`: it is to be left out.
fn asked(
    args: &Args,
    terminal: &Terminal,
    id: &str,
    ids: &[Id],
    clock: &SharedClock,
) -> anyhow::Result<Option<Planned>> {
    let id = Id::new("the camera's id", id)?;
    ensure!(!ids.contains(&id), "camera {id} is named already");
    let question = format!(
        "its URL, or its maker ({}) and address, as hikvision:10.0.0.11",
        names()
    );
    let mut camera = terminal.ask_for(&question, "", |text| Camera::at(id.clone(), text))?;
    if camera.account.is_none() && camera.url.contains("://") {
        let user = terminal.ask("user of the camera (empty: none)", "")?;
        if !user.is_empty() {
            let password = terminal.secret("its password")?;
            camera.account = Some(Account { user, password });
        }
    }
    let planned = tried(args, camera, clock)?;
    if matches!(planned.seen, Some(Err(_))) && !terminal.yes("write it all the same?")? {
        return Ok(None);
    }
    Ok(Some(planned))
}

/// Connects to the camera as the agent would, and shows what came.
fn tried(args: &Args, camera: Camera, clock: &SharedClock) -> anyhow::Result<Planned> {
    if args.no_probe {
        return Ok(Planned { camera, seen: None });
    }
    let findings = try_camera(&camera, LIMITS, clock)?;
    for finding in &findings {
        print_line(&line(finding))?;
    }
    let told = |finding: &Finding| match &finding.mend {
        Some(mend) => format!("{}; {mend}", finding.message),
        None => finding.message.clone(),
    };
    let fault = findings.iter().find(|f| f.state == State::Fault);
    let seen = match (fault, findings.first()) {
        (Some(fault), _) => Some(Err(told(fault))),
        (None, Some(first)) => Some(Ok(told(first))),
        (None, None) => None,
    };
    Ok(Planned { camera, seen })
}

/// What doctor says of the rest: the cameras have just been tried.
fn doctor(file: &Path, clock: &SharedClock) -> anyhow::Result<usize> {
    let patient = Patient {
        config: file.to_path_buf(),
        state: None,
        brokers: true,
        cameras: false,
        limits: LIMITS,
    };
    let mut faults = 0;
    let mut printed = Ok(());
    examine(&patient, clock, &mut |finding| {
        faults += usize::from(finding.state == State::Fault);
        if printed.is_ok() {
            printed = print_line(&line(&finding));
        }
    });
    printed?;
    Ok(faults)
}

fn message(file: &Path, clock: &SharedClock) -> anyhow::Result<bool> {
    let config = Config::read(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime for the network could not be started")?;
    let (line, arrived) = match runtime.block_on(tell_platform(
        &config,
        clock.wall(),
        LIMITS.broker,
    )) {
        Ok((topic, Sent::Heard)) => (
            format!("the broker took a test message on {topic}, and somebody listens there"),
            true,
        ),
        Ok((topic, Sent::Unheard)) => (
            format!(
                "the broker took a test message on {topic}; nobody listens there yet: start the \
                 platform, or see: kakou watch"
            ),
            true,
        ),
        Err(e) => (format!("no test message could be sent: {e:#}"), false),
    };
    print_line(&line)?;
    Ok(arrived)
}
