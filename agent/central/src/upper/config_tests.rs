#![allow(clippy::unwrap_used)]
use super::*;

const GOOD: &str = "url = \"http://10.1.2.3:14000/\"\ndevice_id = \"13010000005030000001\"\n\
     user = \"kakou\"\npassword_file = \"PASSWORD\"\n";
const SUBSCRIPTIONS: &str = "[subscriptions]\nlisten = \"127.0.0.1:0\"\n\
     upper_device_id = \"13000000005030000001\"\nuser = \"upper\"\npassword_file = \"PASSWORD\"\n\
     notify_hosts = [\"10.1.2.3\"]\norganisation = \"130100000000\"\n";

fn plan(text: &str) -> Result<UpperPlan, PlanError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "hidden\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let text = text
        .replace("PASSWORD", &path.display().to_string())
        .replace("FOLDER", &folder.path().display().to_string());
    toml::from_str::<Gat1400Config>(&text).unwrap().plan()
}

#[test]
fn what_is_given_is_used_and_the_rest_has_its_default() {
    let plan = plan(&format!("{GOOD}{SUBSCRIPTIONS}")).unwrap();
    assert_eq!(plan.pictures, Duration::from_secs(20));
    assert_eq!(plan.lease, Duration::from_secs(60));
    assert!(!format!("{plan:?}").contains("hidden"));
}

#[test]
fn an_error_names_the_key_and_the_mend() {
    for (from, to, key) in [
        ("http://10.1.2.3:14000/", "10.1.2.3", "gat1400.url: "),
        (
            "005030000001\"\nuser",
            "00503000000\"\nuser",
            "gat1400.device_id: ",
        ),
        ("\"kakou\"", "\"\"", "gat1400.user: "),
        (
            "\"PASSWORD\"\n[",
            "\"FOLDER/none\"\n[",
            "gat1400.password_file: ",
        ),
        (
            "\"PASSWORD\"\n[",
            "\"FOLDER/empty\"\n[",
            "gat1400.password_file: ",
        ),
        ("\n[", "\nca = \"FOLDER/none\"\n[", "gat1400.ca: "),
        ("\n[", "\nsites = []\n[", "gat1400.sites: "),
        (
            "\n[",
            "\ndevices = [\"130\"]\n[",
            "gat1400.devices: \"130\"",
        ),
        ("\n[", "\nbatch = 0\n[", "gat1400.batch: "),
        ("\n[", "\ntimeout_s = 0\n[", "gat1400.timeout_s: "),
        ("\n[", "\nkeep_alive_s = 0\n[", "gat1400.keep_alive_s: "),
        (
            "\n[",
            "\nwait_for_pictures_s = 86401\n[",
            "gat1400.wait_for_pictures_s: ",
        ),
        (
            "[\"10.1.2.3\"]",
            "[\"a b\"]",
            "gat1400.subscriptions.notify_hosts: ",
        ),
        (
            "[\"10.1.2.3\"]",
            "[]",
            "gat1400.subscriptions.notify_hosts: ",
        ),
        (
            "\"130100000000\"",
            "\"1301\"",
            "gat1400.subscriptions.organisation: ",
        ),
        ("\"upper\"", "\"\"", "gat1400.subscriptions.user: "),
    ] {
        let text = format!("{GOOD}{SUBSCRIPTIONS}");
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed, "{from}");
        let told = plan(&changed).unwrap_err().to_string();
        assert!(told.starts_with(key), "{key}: {told}");
    }
    let unknown = format!("{GOOD}colour = 1\n");
    assert!(toml::from_str::<Gat1400Config>(&unknown).is_err());
}
