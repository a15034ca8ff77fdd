//! A cluster of three RMQTT nodes with Raft on free ports of 127.0.0.1.
//!
//! A node keeps sessions and messages in memory alone, so a kill takes with it what it had and nobody
//! else, acknowledged or not. What a subscriber is owed after that, the platform has to ask for.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kakou_uplink::BrokerAddress;
use tempfile::TempDir;

const NODES: usize = 3;
/// Below those that the system gives to connections: one of these, still open while its node is away,
/// would keep the node from coming back.
const FIRST_PORT: u16 = 20_000;
/// A node listens only after it has joined the others.
const JOINED: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Beyond what waits in the whole test: a queue that is full drops what is oldest. A machine on which
/// everything runs at once is always busy, and a busy node takes no connections.
const LIMITS: &str = "\
node.busy.check_enable = false\n\
log.to = \"file\"\n\
log.level = \"warn\"\n\
log.file = \"log\"\n\
plugins.default_startups = [\"rmqtt-retainer\", \"rmqtt-cluster-raft\", \"rmqtt-shared-subscription\"]\n\
plugins.disabled_default_startups = [\"rmqtt-acl\", \"rmqtt-http-api\"]\n\
[listener.tcp.external]\n\
allow_anonymous = true\n\
max_connections = 20000\n\
max_packet_size = \"16m\"\n\
max_inflight = 4000\n\
max_mqueue_len = 1000000\n\
mqueue_rate_limit = \"1000000,1s\"\n\
session_expiry_interval = \"24h\"\n\
message_expiry_interval = \"0s\"\n";

struct Node {
    folder: PathBuf,
    mqtt: u16,
    rpc: u16,
    raft: u16,
    process: Option<Child>,
}

pub struct Cluster {
    program: PathBuf,
    nodes: Vec<Node>,
    // Goes after the nodes.
    _folder: TempDir,
}

impl Cluster {
    /// The first node founds the cluster, and the others find it.
    pub fn start(program: &Path) -> Self {
        let folder = TempDir::with_prefix("kakou-rmqtt-").unwrap();
        // Tests that run beside this one begin elsewhere.
        let mut next = FIRST_PORT + (std::process::id() % 100) as u16 * 90;
        let nodes = (1..=NODES).map(|n| Node {
            folder: folder.path().join(n.to_string()),
            mqtt: fixed_port(&mut next),
            rpc: fixed_port(&mut next),
            raft: fixed_port(&mut next),
            process: None,
        });
        let mut this = Self {
            program: program.to_owned(),
            nodes: nodes.collect(),
            _folder: folder,
        };
        this.configure(1);
        for n in 0..NODES {
            this.launch(n);
        }
        // A node that is named as leader and finds none at once, as while the others elect one, founds
        // a cluster of its own. So when the first one comes back, it has to wait for another.
        this.configure(2);
        this
    }

    pub fn addresses(&self) -> Vec<BrokerAddress> {
        let address = |node: &Node| BrokerAddress::new("127.0.0.1", node.mqtt);
        self.nodes.iter().map(address).collect()
    }

    pub const fn nodes(&self) -> usize {
        NODES
    }

    /// As a power cut does.
    pub fn kill(&mut self, n: usize) {
        if let Some(mut process) = self.nodes[n].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts a node, and returns when it has joined. One that gives up is started again, as systemd
    /// does.
    pub fn launch(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        let mut process = spawn(&self.program, &node.folder);
        let tries = JOINED.as_millis() / LOOK_EVERY.as_millis();
        for _ in 0..tries {
            if std::net::TcpStream::connect(("127.0.0.1", node.mqtt)).is_ok() {
                node.process = Some(process);
                return;
            }
            if process.try_wait().unwrap().is_some() {
                process = spawn(&self.program, &node.folder);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = process.kill();
        let _ = process.wait();
        let log = std::fs::read_to_string(node.folder.join("log")).unwrap_or_default();
        panic!("RMQTT node {} does not listen; its log: {log}", n + 1);
    }

    /// `leader`: the one that need not find others.
    fn configure(&self, leader: usize) {
        let list = |port: fn(&Node) -> u16| {
            let mut all = String::new();
            for (n, node) in (1..).zip(&self.nodes) {
                let _ = write!(all, "\"{n}@127.0.0.1:{}\", ", port(node));
            }
            all
        };
        // Else the port of a node that was killed is taken for a minute, by connections that ended.
        let raft = format!(
            "leader_id = {leader}\nraft.grpc_reuseaddr = true\nnode_grpc_addrs = [{}]\nraft_peer_addrs = [{}]\n",
            list(|node| node.rpc),
            list(|node| node.raft)
        );
        for (n, node) in (1..).zip(&self.nodes) {
            let plugins = node.folder.join("plugins");
            std::fs::create_dir_all(&plugins).unwrap();
            let main = format!(
                "node.id = {n}\nrpc.server_addr = \"127.0.0.1:{}\"\nplugins.dir = \"plugins\"\nlog.dir = \".\"\n\
                 {LIMITS}addr = \"127.0.0.1:{}\"\n",
                node.rpc, node.mqtt
            );
            std::fs::write(node.folder.join("rmqtt.toml"), main).unwrap();
            std::fs::write(plugins.join("rmqtt-cluster-raft.toml"), &raft).unwrap();
            let retained = "storage.type = \"ram\"\n";
            std::fs::write(plugins.join("rmqtt-retainer.toml"), retained).unwrap();
        }
    }
}

fn spawn(program: &Path, folder: &Path) -> Child {
    Command::new(program)
        .args(["-f", "rmqtt.toml"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

fn fixed_port(next: &mut u16) -> u16 {
    loop {
        *next += 1;
        if std::net::TcpListener::bind(("127.0.0.1", *next)).is_ok() {
            return *next;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for n in 0..NODES {
            self.kill(n);
        }
    }
}
