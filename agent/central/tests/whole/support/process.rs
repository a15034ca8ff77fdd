//! The real program, which can be killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) struct Process {
    config: PathBuf,
    child: Child,
}

impl Process {
    pub fn start(config: PathBuf) -> Self {
        let child = launch(&config);
        Self { config, child }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn again(&mut self) {
        self.child = launch(&self.config);
    }
}

fn launch(config: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kakou-central"))
        .args(["run", "--log", "warn", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
