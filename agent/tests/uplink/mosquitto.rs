//! A real Mosquitto, started by the test on a free port of 127.0.0.1 with its own folder.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kakou_uplink::BrokerAddress;
use tempfile::TempDir;

pub(crate) struct Mosquitto {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    /// `settings` are lines added to the config file; `{dir}` in them is its folder, which holds an
    /// empty file `acl`.
    pub(crate) fn start(settings: &str) -> Self {
        Self::start_with(settings, |_| {})
    }

    /// `files` writes what the settings name before the broker starts.
    pub(crate) fn start_with(settings: &str, files: impl FnOnce(&Path)) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().display();
        // `user root` keeps it from changing to a user that cannot read the folder; without root it
        // has no effect.
        let config = format!(
            "listener {port} 127.0.0.1\nuser root\npersistence true\npersistence_location {dir}/\n\
             max_queued_messages 0\nmax_inflight_messages 100\nlog_dest file {dir}/log\n{}\n",
            settings.replace("{dir}", &dir.to_string())
        );
        let anonymous = if settings.contains("allow_anonymous") {
            ""
        } else {
            "allow_anonymous true\n"
        };
        fs::write(folder.path().join("config"), config + anonymous).expect("the config file");
        fs::write(folder.path().join("acl"), "").expect("the list of rights");
        files(folder.path());
        let mut broker = Self {
            folder,
            port,
            child: None,
        };
        broker.restart();
        broker
    }

    pub(crate) fn address(&self) -> BrokerAddress {
        BrokerAddress::new("127.0.0.1", self.port)
    }

    /// As `systemctl stop` does: it saves sessions and queued messages.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let term = Command::new("kill").arg(child.id().to_string()).status();
            assert!(term.is_ok_and(|status| status.success()), "kill failed");
            child.wait().expect("mosquitto's end");
        }
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        let child = Command::new(binary())
            .arg("-c")
            .arg(self.folder.path().join("config"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto starts");
        self.child = Some(child);
        let limit = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(
                Instant::now() < limit,
                "mosquitto does not accept: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ended without a chance to save, and its store deleted: sessions, queued and retained
    /// messages.
    pub(crate) fn forget(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("mosquitto's end");
            child.wait().expect("mosquitto's end");
        }
        let _ = fs::remove_file(self.folder.path().join("mosquitto.db"));
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .is_ok_and(|status| status.success()),
            "kill failed"
        );
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `mosquitto_pub` with these arguments, MQTT 5, QoS 1.
    pub(crate) fn publish(&self, arguments: &[&str]) {
        let port = self.port.to_string();
        let done = Command::new("mosquitto_pub")
            .args(["-V", "5", "-q", "1", "-p", &port])
            .args(arguments)
            .status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "mosquitto_pub {arguments:?} failed"
        );
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Debian puts it into /usr/sbin, which is in the path of root only.
fn binary() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join("mosquitto"))
        .find(|file| Path::is_file(file))
        .expect("these tests need the broker `mosquitto`, and it is not installed: apt-get install mosquitto")
}
