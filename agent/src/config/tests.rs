#![allow(clippy::unwrap_used)]
use super::*;

const LANE: &str = r#"
site = "gate"
[[camera]]
id = "cam-1"
masks = [[[0.0, 0.0], [1.0, 0.0], [1.0, 0.1]]]
[[camera.lane]]
id = "1"
polygon = [[0.1, 0.2], [0.5, 0.2], [0.5, 1.0]]
trigger = [[0.1, 0.8], [0.5, 0.8]]
direction = "approaching"
"#;

fn fault(text: &str) -> String {
    Config::parse(text, Path::new("gate.toml")).unwrap_err().to_string()
}

#[test]
fn a_whole_config_is_resolved() {
    let c = Config::parse(LANE, Path::new("gate.toml")).unwrap();
    let cam = c.camera("cam-1");
    assert_eq!(cam.lanes[0].polygon.0[1], Point::new(0.5, 0.2));
    assert_eq!(cam.masks.len(), 1);
    assert_eq!(scaled(&cam.lanes[0].polygon, 100, 50).0[2], Point::new(50.0, 50.0));
    assert!(c.camera("other").lanes.is_empty());
}

#[test]
fn faults_name_file_line_and_key() {
    let far = fault(&LANE.replace("[0.5, 1.0]", "[0.5, 100.0]"));
    assert!(far.starts_with("gate.toml: line 8: camera.lane.polygon: [0.5, 100]"), "{far}");
    let unknown = fault(&LANE.replace("trigger", "triger"));
    assert!(unknown.contains("gate.toml") && unknown.contains("line 9") && unknown.contains("triger"), "{unknown}");
    let id = fault(&LANE.replace("cam-1", "cam/1"));
    assert!(id.contains("line 4: camera.id: `cam/1`"), "{id}");
    let two = fault(&LANE.replace(", [0.5, 0.2], [0.5, 1.0]]", "]"));
    assert!(two.contains("at least three points"), "{two}");
    let threads = fault("[vision]\nthreads = 0\n");
    assert!(threads.contains("line 2: vision.threads: 0 is outside 1 to 64"), "{threads}");
    let provider = fault("[vision]\nprovider = \"gpu\"\n");
    assert!(provider.contains("line 2") && provider.contains("cuda"), "{provider}");
    let broker = fault("\n[broker]\nurl = \"tcp:/x\"\n");
    assert!(broker.contains("line 3: broker.url"), "{broker}");
}
