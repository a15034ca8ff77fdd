//! A PostgreSQL of one's own in a temporary folder: for the demo, and for tests against the real
//! server.
//!
//! It listens on a Unix socket in that folder and nowhere else. It ends, and the folder goes, when
//! [`ScratchPostgres`] is dropped. PostgreSQL refuses to run as root; a process of root starts it as
//! the user `postgres`, whom Debian's package makes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Starting takes a second; recovery after a kill some more.
const START: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The one user and the one database.
const NAME: &str = "kakou";

#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    #[error(
        "PostgreSQL is not installed: no /usr/lib/postgresql/*/bin/postgres; install Debian's package postgresql"
    )]
    Missing,
    #[error("{what}: {source}")]
    Io {
        what: String,
        source: std::io::Error,
    },
    #[error("{program} failed: {output}")]
    Program { program: String, output: String },
    #[error("PostgreSQL did not answer within {within:?}; its log: {log}")]
    Silent { within: Duration, log: String },
}

#[derive(Debug)]
pub struct ScratchPostgres {
    bin: PathBuf,
    folder: TempDir,
    server: Option<Child>,
    /// Of localhost; `None`: it listens on the socket alone.
    port: Option<u16>,
    /// Settings beside those that every one has, as `name=value`.
    settings: Vec<String>,
}

impl ScratchPostgres {
    /// Makes an empty cluster and starts it.
    pub async fn start() -> Result<Self, ScratchError> {
        let bin = installed().ok_or(ScratchError::Missing)?;
        let io = |what: &str| {
            let what = what.to_owned();
            move |source| ScratchError::Io { what, source }
        };
        // Short: the path of a Unix socket has at most 107 bytes.
        let folder = TempDir::with_prefix("kakou-pg-").map_err(io("temporary folder"))?;
        let mut this = Self {
            bin,
            folder,
            server: None,
            port: None,
            settings: Vec::new(),
        };
        // The server's user has to get in.
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(this.folder.path(), mode).map_err(io("temporary folder"))?;
        if rustix::process::geteuid().is_root() {
            this.program("chown", &["postgres", &this.path("")])?;
        }
        this.program(
            &this.bin.join("initdb").to_string_lossy(),
            &[
                "-D",
                &this.path("data"),
                "-U",
                NAME,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
        )?;
        this.launch()?;
        this.answers().await?;
        let (client, connection) =
            tokio_postgres::connect(&this.of("postgres"), tokio_postgres::NoTls)
                .await
                .map_err(|e| this.failed("connect", &e))?;
        tokio::spawn(connection);
        client
            .batch_execute(&format!("CREATE DATABASE {NAME}"))
            .await
            .map_err(|e| this.failed("CREATE DATABASE", &e))?;
        Ok(this)
    }

    /// How to reach its database, in the words of libpq.
    pub fn url(&self) -> String {
        self.of(NAME)
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        // The postmaster's children end when they see that it is gone.
        let _ = server.kill();
        let _ = server.wait();
    }

    /// Starts it again after [`ScratchPostgres::kill`].
    pub async fn restart(&mut self) -> Result<(), ScratchError> {
        self.launch()?;
        self.answers().await
    }

    /// Starts it again, so that it listens on localhost too, with these settings (`name=value`).
    pub async fn listen(&mut self, port: u16, settings: &[String]) -> Result<(), ScratchError> {
        self.port = Some(port);
        self.settings = settings.to_vec();
        self.kill();
        self.restart().await
    }

    /// Puts a file where the server finds it, for its user alone; its path.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<String, ScratchError> {
        let path = self.path(name);
        let io = |source| ScratchError::Io {
            what: path.clone(),
            source,
        };
        std::fs::write(&path, bytes).map_err(io)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
        if rustix::process::geteuid().is_root() {
            self.program("chown", &["postgres", &path])?;
        }
        Ok(path)
    }

    fn of(&self, database: &str) -> String {
        let port = self.port.map(|port| format!(" port={port}"));
        let port = port.unwrap_or_default();
        format!("host={}{port} user={NAME} dbname={database}", self.path(""))
    }

    fn path(&self, name: &str) -> String {
        let path = match name {
            "" => self.folder.path().to_owned(),
            name => self.folder.path().join(name),
        };
        path.to_string_lossy().into_owned()
    }

    fn launch(&mut self) -> Result<(), ScratchError> {
        let io = |source| ScratchError::Io {
            what: "PostgreSQL".to_owned(),
            source,
        };
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .map_err(io)?;
        let listens = match self.port {
            None => vec!["listen_addresses=".to_owned()],
            Some(port) => vec![
                "listen_addresses=localhost".to_owned(),
                format!("port={port}"),
            ],
        };
        let settings = listens.iter().chain(&self.settings);
        let mut command = as_server(&self.bin.join("postgres"));
        command
            .args(["-D", &self.path("data"), "-k", &self.path("")])
            .args(["-c", "max_connections=60"])
            .args(["-c", "log_min_messages=warning"])
            .args(settings.flat_map(|setting| ["-c", setting]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.server = Some(command.spawn().map_err(io)?);
        Ok(())
    }

    /// One that ends meanwhile is started again: for a moment after a kill the children of the old
    /// one hold its shared memory, and the new one gives up.
    async fn answers(&mut self) -> Result<(), ScratchError> {
        let log = self.folder.path().join("log");
        let wait = async {
            let url = self.of("postgres");
            loop {
                if let Some(server) = &mut self.server
                    && matches!(server.try_wait(), Ok(Some(_)))
                {
                    self.launch()?;
                }
                match tokio_postgres::connect(&url, tokio_postgres::NoTls).await {
                    Ok((client, connection)) => {
                        tokio::spawn(connection);
                        if client.simple_query("SELECT 1").await.is_ok() {
                            return Ok(());
                        }
                    }
                    Err(_) => tokio::time::sleep(LOOK_EVERY).await,
                }
            }
        };
        tokio::time::timeout(START, wait)
            .await
            .map_err(|_| ScratchError::Silent {
                within: START,
                log: std::fs::read_to_string(log).unwrap_or_default(),
            })?
    }

    fn program(&self, program: &str, arguments: &[&str]) -> Result<(), ScratchError> {
        let mut command = match program {
            "chown" => Command::new(program),
            _ => as_server(Path::new(program)),
        };
        let output = command
            .args(arguments)
            .current_dir("/")
            .output()
            .map_err(|source| ScratchError::Io {
                what: program.to_owned(),
                source,
            })?;
        match output.status.success() {
            true => Ok(()),
            false => Err(ScratchError::Program {
                program: program.to_owned(),
                output: String::from_utf8_lossy(&output.stderr).into_owned(),
            }),
        }
    }

    fn failed(&self, what: &str, error: &dyn std::fmt::Display) -> ScratchError {
        ScratchError::Program {
            program: what.to_owned(),
            output: error.to_string(),
        }
    }
}

impl Drop for ScratchPostgres {
    fn drop(&mut self) {
        if let Some(server) = &self.server
            && let Some(pid) = rustix::process::Pid::from_raw(server.id().cast_signed())
        {
            // A fast shutdown: clients are thrown out.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        if let Some(mut server) = self.server.take() {
            let _ = server.wait();
        }
    }
}

/// As a user that PostgreSQL runs as. `setpriv` becomes the server, so that its pid is the server's.
fn as_server(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
        .arg(program)
        .current_dir("/");
    command
}

/// The newest one that Debian's packages installed.
fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("bin/postgres").is_file())
        .max_by_key(|path| number(path))?;
    Some(newest.join("bin"))
}
