//! `--broker URL`, as every subcommand that speaks MQTT has it.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use kakou_guard::Secret;
use kakou_uplink::{AddressError, BrokerAddress, Login, TlsFiles, User};

use crate::config::Config;

/// A broker's URL as given, right or not. clap repeats a value that it cannot parse, and there is a
/// password in this one: so parsing never fails, and `address` tells the fault without it.
#[derive(Debug, Clone)]
pub struct BrokerUrl(Result<BrokerAddress, AddressError>);

impl BrokerUrl {
    pub fn address(&self) -> Result<BrokerAddress, AddressError> {
        self.0.clone()
    }
}

impl FromStr for BrokerUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.parse()))
    }
}

/// A broker to connect to, with who it must be and who we are.
#[derive(Debug, Clone, clap::Args)]
pub struct BrokerArgs {
    /// The broker, mqtt://[user:password@]host[:port], or mqtts:// for TLS. [default:
    /// mqtt://127.0.0.1:1883]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "KAKOU_BROKER",
        hide_env_values = true
    )]
    broker: Option<BrokerUrl>,
    /// Take broker, authorities, client certificate and user from `[broker]` of this config, which
    /// may be that of a box. An option given beside it comes first; --broker leaves only the box's
    /// name of it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    access: Access,
}

/// How to connect, everything resolved.
#[derive(Debug, Clone)]
pub struct Way {
    /// In the order in which they are to be tried; never empty.
    pub addresses: Vec<BrokerAddress>,
    pub tls: TlsFiles,
    /// The box whose config was read.
    pub of: Option<(String, String)>,
}

impl BrokerArgs {
    /// The address with its user, for those who connect to one broker: the first of the config.
    pub fn address(&self) -> anyhow::Result<BrokerAddress> {
        let way = self.way()?;
        let first = way.addresses.into_iter().next();
        first.context("the config names no broker; give --broker")
    }

    pub fn tls(&self) -> anyhow::Result<TlsFiles> {
        Ok(self.way()?.tls)
    }

    pub fn way(&self) -> anyhow::Result<Way> {
        let config = self.config.as_deref().map(Config::read).transpose()?;
        let of = config.as_ref().map(|c| (c.site.clone(), c.agent.clone()));
        let known = config.and_then(|config| config.broker);
        let addresses = match (&self.broker, &known, &self.config) {
            (Some(given), ..) => vec![given.address()?],
            (None, Some(known), _) => known.addresses.clone(),
            (None, None, Some(file)) => bail!(
                "{}: it has no [broker]; give --broker, or name another config",
                file.display()
            ),
            (None, None, None) => vec![DEFAULT.parse()?],
        };
        // Certificates of the config are for its own brokers, and so is its password.
        let known = known.filter(|_| self.broker.is_none());
        let with_user = |address| match (&self.access.user, known.as_ref()) {
            (None, Some(known)) => logged_in(address, known.login.as_ref()),
            // Whoever the config's URL names, the options say who it is now.
            (Some(_), Some(_)) => self.access.of(BrokerAddress {
                user: None,
                ..address
            }),
            (_, None) => self.access.of(address),
        };
        let addresses: Vec<_> = addresses
            .into_iter()
            .map(with_user)
            .collect::<anyhow::Result<_>>()?;
        let (given, known) = (self.access.tls(), known.map(|known| known.tls));
        let known = known.unwrap_or_default();
        let tls = TlsFiles {
            ca: given.ca.or(known.ca),
            client: given.client.or(known.client),
        };
        self.access.fits(&addresses)?;
        Ok(Way { addresses, tls, of })
    }
}

/// Where nothing else is said.
const DEFAULT: &str = "mqtt://127.0.0.1:1883";

/// As the agent logs in: a user in the URL comes first.
fn logged_in(mut address: BrokerAddress, login: Option<&Login>) -> anyhow::Result<BrokerAddress> {
    if let (None, Some(login)) = (&address.user, login) {
        address.user = Some(User {
            name: login.user.clone(),
            password: password(login.password_file.as_deref())?,
        });
    }
    Ok(address)
}

fn password(file: Option<&Path>) -> anyhow::Result<Secret> {
    Ok(match file {
        Some(file) => Secret::from_file(file)?,
        None => Secret::new(""),
    })
}

/// Who the broker must be, and who we are: beside the URL, where a password does not belong.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Access {
    /// Certificates, in PEM, of the authorities that may sign the broker's certificate (mqtts://).
    /// [default: those this machine trusts]
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our own certificate, in PEM, if the broker asks for one (mqtts://).
    #[arg(long, global = true, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key that belongs to --cert, in PEM.
    #[arg(long, global = true, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The user to log in as.
    #[arg(long, global = true, value_name = "NAME")]
    user: Option<String>,
    /// A file that holds the password.
    #[arg(long, global = true, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
}

impl Access {
    pub fn tls(&self) -> TlsFiles {
        TlsFiles {
            ca: self.ca.clone(),
            client: self.cert.clone().zip(self.key.clone()),
        }
    }

    /// What is for TLS means nothing without it, which must not look as if it did.
    fn fits(&self, addresses: &[BrokerAddress]) -> anyhow::Result<()> {
        let plain = addresses.iter().any(|address| !address.tls);
        ensure!(
            self.ca.is_none() || !plain,
            "--ca is for TLS; write mqtts:// in --broker"
        );
        ensure!(
            self.cert.is_none() || !plain,
            "--cert and --key are for TLS; write mqtts:// in --broker"
        );
        Ok(())
    }

    /// The address with the user of the options.
    pub fn of(&self, mut address: BrokerAddress) -> anyhow::Result<BrokerAddress> {
        if let Some(name) = &self.user {
            ensure!(
                address.user.is_none(),
                "--broker has a user too; give it once"
            );
            address.user = Some(User {
                name: name.clone(),
                password: password(self.password_file.as_deref())?,
            });
        }
        Ok(address)
    }
}
