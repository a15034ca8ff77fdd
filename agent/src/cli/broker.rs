//! `--broker URL`, as every subcommand that speaks MQTT has it.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::ensure;
use kakou_guard::Secret;
use kakou_uplink::{AddressError, BrokerAddress, TlsFiles, User};

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
    /// The broker, mqtt://[user:password@]host[:port], or mqtts:// for TLS.
    #[arg(
        long,
        value_name = "URL",
        env = "KAKOU_BROKER",
        hide_env_values = true,
        default_value = "mqtt://127.0.0.1:1883"
    )]
    broker: BrokerUrl,
    #[command(flatten)]
    access: Access,
}

impl BrokerArgs {
    /// The address with the user of the options.
    pub fn address(&self) -> anyhow::Result<BrokerAddress> {
        self.access.of(self.broker.address()?)
    }

    pub fn tls(&self) -> TlsFiles {
        self.access.tls()
    }
}

/// Who the broker must be, and who we are: beside the URL, where a password does not belong.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Access {
    /// Certificates, in PEM, of the authorities that may sign the broker's certificate (mqtts://).
    /// [default: those this machine trusts]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The user to log in as.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A file that holds the password.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
}

impl Access {
    pub fn tls(&self) -> TlsFiles {
        TlsFiles {
            ca: self.ca.clone(),
            client: None,
        }
    }

    /// The address with the user of the options.
    pub fn of(&self, mut address: BrokerAddress) -> anyhow::Result<BrokerAddress> {
        ensure!(
            self.ca.is_none() || address.tls,
            "--ca is for TLS; write mqtts:// in --broker"
        );
        if let Some(name) = &self.user {
            ensure!(
                address.user.is_none(),
                "--broker has a user too; give it once"
            );
            let password = match &self.password_file {
                Some(file) => Secret::from_file(file)?,
                None => Secret::new(""),
            };
            address.user = Some(User {
                name: name.clone(),
                password,
            });
        }
        Ok(address)
    }
}
