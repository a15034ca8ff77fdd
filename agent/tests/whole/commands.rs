//! The other subcommands, by running the real binary.

use crate::support::*;

#[test]
fn eval_counts_the_plates_of_the_samples() {
    // Frames of the dusk sequence, each looked at by itself.
    let o = succeed(&["eval", "agent/samples/dusk", "--json", "--errors"]);
    let report = json(&o);
    for key in [
        "plates",
        "right",
        "wrong",
        "missed",
        "false_reads",
        "ms_per_picture",
        "by_province",
        "by_kind",
        "by_rows",
        "by_colour",
        "by_length",
    ] {
        assert!(report.get(key).is_some(), "{key} is missing: {report}");
    }
    let n = |key: &str| report[key].as_u64().unwrap();
    assert_eq!(n("plates"), n("right") + n("wrong") + n("missed"));
    assert!(n("plates") >= 40, "{report}");
    assert!(n("right") * 100 >= n("plates") * 95, "{report}");
    // The truth leaves out plates under 60 pixels. Those may be read; nothing else may.
    let said = stderr(&o);
    let false_reads: Vec<&str> = said
        .lines()
        .filter(|l| l.ends_with("was read where no plate is"))
        .collect();
    assert_eq!(false_reads.len() as u64, n("false_reads"));
    for line in false_reads {
        let of_a_sample = ["3H792", "8L536", "53826"]
            .iter()
            .any(|end| line.contains(end));
        assert!(of_a_sample, "{line}");
    }
}

#[test]
fn eval_says_how_well_probabilities_hold() {
    let dir = tempfile::tempdir().unwrap();
    let signs = dir.path().join("signs.jsonl");
    // The samples are recordings: each vehicle's vote is followed read by read.
    let report = json(&succeed(&[
        "eval",
        "agent/samples/dusk",
        "--calibration",
        "--json",
        "--signs",
        signs.to_str().unwrap(),
    ]));
    assert_eq!(report["singles"]["of"], 0, "{report}");
    assert!(report["vehicles"].as_u64().unwrap() >= 3, "{report}");
    let last = report["votes"].as_array().unwrap().last().unwrap();
    assert_eq!(last[0], "after all reads");
    assert_eq!(last[1]["of"], last[1]["right"], "{report}");
    assert!(last[1]["said"].as_f64().unwrap() > 0.9, "{report}");
    let early = report["early"].as_array().unwrap();
    let told: Vec<u64> = early.iter().map(|e| e["told"].as_u64().unwrap()).collect();
    assert!(told.is_sorted_by(|a, b| a >= b) && told[0] >= 3, "{report}");
    let lines = std::fs::read_to_string(&signs).unwrap();
    assert!(lines.lines().count() > 20);
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    for key in ["joint", "legibility", "truth", "text", "probability"] {
        assert!(first.get(key).is_some(), "{key} is missing: {first}");
    }
}

#[test]
fn eval_counts_what_is_taken_for_what() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("confusions.csv");
    succeed(&[
        "eval",
        "agent/samples/dusk",
        "--confusions",
        table.to_str().unwrap(),
    ]);
    let csv = std::fs::read_to_string(&table).unwrap();
    assert!(
        csv.starts_with("# What the reader takes for what."),
        "{csv}"
    );
    assert!(
        csv.contains("kakou eval agent/samples/dusk --confusions"),
        "{csv}"
    );
    let row = csv.lines().find(|l| l.starts_with("豫,豫,")).unwrap();
    let cells: Vec<f64> = row.split(',').skip(2).map(|c| c.parse().unwrap()).collect();
    let [count, of, mass] = cells[..] else {
        panic!("{row}")
    };
    assert!(count <= of && mass <= of + 0.01 && count >= 10.0, "{row}");
}

#[test]
fn eval_counts_a_picture_it_cannot_read_as_missed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("torn.jpg"), b"\xff\xd8torn").unwrap();
    std::fs::write(
        dir.path().join("truth.jsonl"),
        "{\"image\": \"torn.jpg\", \"text\": \"鲁E6K829\"}\n",
    )
    .unwrap();
    let o = kakou(&["eval", dir.path().to_str().unwrap(), "--json"]);
    assert!(!o.status.success() && stderr(&o).contains("torn.jpg"));
    let report = json(&o);
    assert_eq!(
        (report["plates"].as_u64(), report["missed"].as_u64()),
        (Some(1), Some(1))
    );
}

#[test]
fn bench_measures_every_stage() {
    let frames = some_frames("dusk", 0..12);
    let m = json(&succeed(&[
        "bench",
        "--frames",
        frames.path().to_str().unwrap(),
        "--rounds",
        "1",
        "--json",
    ]));
    for key in [
        "frames_per_second",
        "ms_decode",
        "ms_vehicles",
        "ms_plates",
        "ms_reader",
        "overhead",
        "resident_mib",
    ] {
        assert!(m[key].as_f64().is_some_and(|v| v > 0.0), "{key}: {m}");
    }
    assert_eq!(m["frames"], 12);
    assert_eq!(
        m["runs_vehicles"], 1.0,
        "by default vehicles are looked for in every frame"
    );
}

#[test]
fn every_example_config_is_right() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("configs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            succeed(&["check-config", "--no-files", path.to_str().unwrap()]);
            seen += 1;
        }
    }
    assert!(seen >= 4);
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.toml");
    std::fs::write(&bad, "site = \"a\"\n\n[[camera]]\nid = \"x\"\nlanes = 3\n").unwrap();
    let o = kakou(&["check-config", bad.to_str().unwrap()]);
    assert!(!o.status.success());
    assert!(
        stderr(&o).contains("line 5") && stderr(&o).contains("lanes"),
        "{}",
        stderr(&o)
    );
}

#[test]
fn an_altered_or_truncated_model_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    copy_cache(dir.path());
    let run = |args: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_kakou"))
            .args(args)
            .current_dir(root())
            .env("KAKOU_MODELS_CACHE", dir.path())
            .output()
            .unwrap()
    };
    let whole = run(&["models", "verify"]);
    assert!(whole.status.success(), "{}", stderr(&whole));
    let model = dir.path().join("clp_v2_c_rec.onnx");
    let mut bytes = std::fs::read(&model).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&model, &bytes).unwrap();
    let dictionary = dir.path().join("clp_dict.txt");
    let half = std::fs::read(&dictionary).unwrap();
    std::fs::write(&dictionary, &half[..half.len() / 2]).unwrap();
    let o = run(&["models", "verify"]);
    let said = stderr(&o);
    assert_eq!(o.status.code(), Some(1), "{said}");
    assert!(
        said.contains("clp_v2_c_rec.onnx has sha256") && said.contains("clp_dict.txt has"),
        "{said}"
    );
    let o = run(&["eval", "agent/samples/dusk"]);
    assert!(
        !o.status.success() && stderr(&o).contains("clp_dict.txt"),
        "it is not run either: {}",
        stderr(&o)
    );
}

#[test]
fn a_provider_that_is_not_there_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("gpu.toml");
    let cache = dir.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    copy_cache(&cache);
    let eval = |provider: &str| {
        std::fs::write(&config, format!("[vision]\nprovider = \"{provider}\"\n")).unwrap();
        let o = std::process::Command::new(env!("CARGO_BIN_EXE_kakou"))
            .args(["eval", "agent/samples/dusk", "--config"])
            .arg(&config)
            .current_dir(root())
            .env("KAKOU_MODELS_CACHE", &cache)
            .output()
            .unwrap();
        assert!(!o.status.success());
        stderr(&o)
    };
    let said = eval("cuda");
    assert!(said.contains("cuda") && said.contains("cpu"), "{said}");
    // On a processor without one, the usual library is asked, and says that it has none.
    let said = eval("openvino");
    assert!(said.contains("openvino"), "{said}");
    if cfg!(target_arch = "x86_64") {
        assert!(said.contains("models/fetch.py --only openvino"), "{said}");
    }
}

/// Whatever is fetched: the processor's own runtime is, and the others are named.
#[test]
fn bench_compares_the_providers_that_are_there() {
    let frames = some_frames("dusk", 0..4);
    let o = succeed(&[
        "bench",
        "--providers",
        "--rounds",
        "1",
        "--frames",
        frames.path().to_str().unwrap(),
        "--config",
        "configs/samples.toml",
        "--json",
    ]);
    let compared = json(&o);
    let all = compared["providers"].as_array().unwrap();
    let cpu = all.iter().find(|p| p["provider"] == "cpu").unwrap();
    assert!(cpu["measured"]["frames_per_second"].as_f64().unwrap() > 0.0);
    let openvino = all.iter().find(|p| p["provider"] == "openvino").unwrap();
    assert!(
        openvino.get("measured").is_some() != openvino.get("missing").is_some(),
        "{openvino}"
    );
    let best = compared["best"].as_str().unwrap();
    assert!(["cpu", "openvino"].contains(&best), "{best}");
}

#[test]
fn check_config_opens_what_the_agent_would_open() {
    let dir = tempfile::tempdir().unwrap();
    let (path, secret) = (dir.path().join("kakou.toml"), dir.path().join("secret"));
    let settings = "url = \"mqtts://localhost\"\nuser = \"gate\"\npassword_file = \"secret\"";
    checkpoint(dir.path(), settings, "day", "", "");
    std::fs::write(&secret, "x").unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    let check = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let o = kakou(&["check-config", path.to_str().unwrap()]);
        (o.status.success(), stdout(&o) + &stderr(&o))
    };
    let (is_right, told) = check(&good);
    assert!(is_right, "{told}");
    for found in [
        "opened vehicles",
        " plates; lines that cannot be used: 1",
        "its files can be read",
        "camera cam-1",
    ] {
        assert!(told.contains(found), "{found}: {told}");
    }
    let cache = dir.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    std::fs::write(cache.join("lib.so"), "no library").unwrap();
    let runtime = format!("[vision]\nruntime = {:?}", cache.join("lib.so"));
    let faults = [
        ("[vision]", "[vision]\nvehicles = \"nonsense\"", "nonsense"),
        ("[vision]", runtime.as_str(), "lib.so"),
        (
            "[vision]",
            "[vision]\nruntime = \"nowhere.so\"",
            "nowhere.so",
        ),
        ("list.csv", "lost.csv", "lost.csv"),
        ("[broker]", "[broker]\nca = \"secret\"", "secret"),
        ("[broker]", "[broker]\nca = \"lost.pem\"", "lost.pem"),
        ("\"secret\"", "\"lost-password\"", "lost-password"),
        ("samples/day", "samples/lost", "samples/lost"),
    ];
    for (old, new, named) in faults {
        let (is_right, told) = check(&good.replacen(old, new, 1));
        let line = told.lines().find(|l| l.starts_with("kakou: "));
        assert!(
            !is_right && line.is_some_and(|l| l.contains("kakou.toml") && l.contains(named)),
            "{named}: {told}"
        );
        // The text alone is right.
        succeed(&["check-config", "--no-files", path.to_str().unwrap()]);
    }
}

/// The names of the subcommands in a help text.
fn subcommands(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|l| *l != "Commands:").skip(1);
    lines
        .take_while(|l| !l.is_empty())
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

#[test]
fn every_command_explains_itself() {
    let mut waiting = vec![Vec::<String>::new()];
    let mut leaves = 0;
    while let Some(command) = waiting.pop() {
        let mut args: Vec<&str> = command.iter().map(String::as_str).collect();
        args.push("--help");
        let text = stdout(&succeed(&args));
        let names = subcommands(&text);
        leaves += usize::from(names.is_empty());
        for name in names {
            waiting.push([command.as_slice(), &[name.to_owned()]].concat());
        }
        let about = text.lines().next().unwrap_or_default();
        assert!(
            about.len() > 20,
            "{command:?} does not say what it does:\n{text}"
        );
        // Each option and argument has a sentence of its own, on its line or the next.
        let lines: Vec<&str> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            if line.starts_with("  ") && (trimmed.starts_with("--") || trimmed.starts_with('-')) {
                let next = lines.get(n + 1).map_or("", |l| l.trim());
                let said = trimmed.contains("  ") || !(next.is_empty() || next.starts_with('['));
                assert!(said, "{command:?} says nothing of {trimmed}:\n{text}");
            }
        }
    }
    assert!(leaves >= 15, "only {leaves} commands were found");
    assert!(stdout(&succeed(&["models", "verify", "--help"])).contains("Exit code"));
}

/// The demo end to end: broker, replay, central subscriber, pictures.
#[test]
fn the_demo_shows_every_passage() {
    let dir = tempfile::tempdir().unwrap();
    let o = succeed(&["demo", "--out", dir.path().to_str().unwrap()]);
    let text = stdout(&o);
    for plate in ["鲁E·6K829", "浙A·D62983", "皖K·9H275", "沪A·D53826"] {
        assert!(text.contains(plate), "{plate} is not shown:\n{text}");
    }
    let annotated = std::fs::read_dir(dir.path().join("day"))
        .unwrap()
        .filter(|e| {
            e.as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .ends_with("-annotated.jpg")
        })
        .count();
    assert_eq!(annotated, 7);
}
