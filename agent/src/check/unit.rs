//! The service's unit, as far as it says which secrets the agent is given and as whom it runs.

use std::path::PathBuf;

/// Where systemd looks, the first place first, if SYSTEMD_UNIT_PATH says nothing else.
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
const NAME: &str = "kakou.service";

/// A credential that the unit asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub name: String,
    /// `LoadCredential=NAME:PATH`; none where the value stands in the unit or comes from elsewhere.
    pub path: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    pub credentials: Vec<Credential>,
    /// `ImportCredential=` takes names by patterns: what it gives is not known here.
    pub imports: bool,
    pub user: Option<String>,
}

impl Unit {
    /// The unit that is installed on this machine, with its drop-ins.
    pub fn installed() -> Option<Self> {
        let folders: Vec<PathBuf> = match std::env::var_os("SYSTEMD_UNIT_PATH") {
            Some(paths) if !paths.is_empty() => std::env::split_paths(&paths).collect(),
            _ => FOLDERS.map(PathBuf::from).to_vec(),
        };
        let mut text = folders
            .iter()
            .find_map(|folder| std::fs::read_to_string(folder.join(NAME)).ok())?;
        for folder in folders.iter().rev() {
            let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join(format!("{NAME}.d")))
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|file| file.extension().is_some_and(|ending| ending == "conf"))
                .collect();
            files.sort();
            for file in files {
                text += "\n";
                text += &std::fs::read_to_string(file).unwrap_or_default();
            }
        }
        Some(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut unit = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.trim().split_once('=') else {
                continue;
            };
            let value = value.trim();
            match key.trim() {
                // An empty assignment takes back what stood before.
                "LoadCredential"
                | "LoadCredentialEncrypted"
                | "SetCredential"
                | "SetCredentialEncrypted"
                    if value.is_empty() =>
                {
                    unit.credentials.clear();
                }
                "LoadCredential" | "LoadCredentialEncrypted" => {
                    let (name, path) = value.split_once(':').unwrap_or((value, ""));
                    unit.credentials.push(Credential {
                        name: name.to_owned(),
                        path: path.starts_with('/').then(|| PathBuf::from(path)),
                    });
                }
                "SetCredential" | "SetCredentialEncrypted" => {
                    let name = value.split(':').next().unwrap_or_default();
                    unit.credentials.push(Credential {
                        name: name.to_owned(),
                        path: None,
                    });
                }
                "ImportCredential" => unit.imports = !value.is_empty(),
                "User" => unit.user = Some(value.to_owned()).filter(|user| !user.is_empty()),
                _ => {}
            }
        }
        unit
    }

    /// The number of the service's user, if this machine knows it.
    pub fn uid(&self) -> Option<u32> {
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let is_it = fields.next() == self.user.as_deref();
            is_it.then(|| fields.nth(1)?.parse().ok())?
        })
    }

    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.iter().rev().find(|c| c.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_tells_its_credentials_and_its_user() {
        let unit = Unit::parse(
            "[Service]\nUser=kakou\n#LoadCredential=no:/x\nLoadCredential=old:/old\n\
             LoadCredential=\nLoadCredential=broker:/etc/secrets/broker\n\
             SetCredential=fixed:text:with colons\n LoadCredentialEncrypted = sealed : /s\n",
        );
        assert_eq!(unit.user.as_deref(), Some("kakou"));
        assert!(
            !unit.imports && unit.credential("no").is_none() && unit.credential("old").is_none()
        );
        let path = |name| unit.credential(name).map(|c| c.path.clone());
        assert_eq!(path("broker"), Some(Some("/etc/secrets/broker".into())));
        assert_eq!(path("fixed"), Some(None));
    }

    #[test]
    fn a_users_number_is_looked_up() {
        let of = |user: &str| Unit::parse(&format!("[Service]\nUser={user}")).uid();
        assert_eq!(
            (of("root"), of("no such user"), of("")),
            (Some(0), None, None)
        );
    }

    #[test]
    fn patterns_may_give_anything() {
        assert!(Unit::parse("[Service]\nImportCredential=kakou.*").imports);
        assert!(!Unit::parse("[Service]\nImportCredential=").imports);
    }
}
