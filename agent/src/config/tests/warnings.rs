//! What can be used and is probably not meant.

use super::*;

#[test]
fn a_sound_config_has_no_warnings() {
    assert_eq!(parsed(GATE).warnings, []);
}

#[test]
fn doubtful_lanes_are_told() {
    for (from, to, said) in [
        // x and y swapped in the trigger, with and without a direction; and in the polygon.
        (
            "[[0.05, 0.75], [0.95, 0.75]]",
            "[[0.75, 0.05], [0.75, 0.95]]",
            "line 13: camera.lane.trigger: runs along the lane",
        ),
        (
            "[[0.05, 0.75], [0.95, 0.75]]\ndirection = \"approaching\"",
            "[[0.75, 0.05], [0.75, 0.95]]",
            "line 13: camera.lane.trigger: spans 93 % of the lane where it crosses it, so vehicles can pass beside it; draw it from border to border (the trigger with x and y swapped would fit",
        ),
        (
            "[[0.25, 0.25], [0.75, 0.25], [0.95, 1.0], [0.05, 1.0]]",
            "[[0.25, 0.25], [0.25, 0.75], [1.0, 0.95], [1.0, 0.05]]",
            "line 12: camera.lane.polygon: narrows to the side",
        ),
        (
            "[[0.25, 0.25], [0.75, 0.25], [0.95, 1.0], [0.05, 1.0]]\ntrigger = [[0.05, 0.75], [0.95, 0.75]]\ndirection = \"approaching\"",
            "[[0.25, 0.25], [0.25, 0.75], [1.0, 0.95], [1.0, 0.05]]\ntrigger = [[0.05, 0.75], [0.95, 0.75]]",
            "line 13: camera.lane.trigger: spans 93 % of the lane where it crosses it, so vehicles can pass beside it; draw it from border to border (the polygon with x and y swapped would fit",
        ),
        (
            "[[0.05, 0.75], [0.95, 0.75]]",
            "[[0.05, 0.75], [0.5, 0.75]]",
            "line 13: camera.lane.trigger: spans 50 % of the lane",
        ),
        (
            "[[0.25, 0.25], [0.75, 0.25], [0.95, 1.0], [0.05, 1.0]]\ntrigger = [[0.05, 0.75], [0.95, 0.75]]",
            "[[0.2, 0.2], [0.22, 0.2], [0.2, 0.22]]",
            "line 12: camera.lane.polygon: covers only 0.02 % of the picture",
        ),
        (
            "[[camera.lane]]",
            "masks = [[[0, 0], [1, 0], [1, 1], [0, 1]]]\n[[camera.lane]]",
            "line 13: camera.lane.polygon: lies wholly under `masks` (line 10)",
        ),
    ] {
        let warned = warning(&with(from, to));
        assert!(warned.starts_with(said), "{warned}");
    }
}

#[test]
fn a_vertical_trigger_across_a_sideways_lane_is_fine() {
    let text = with(
        "[[0.25, 0.25], [0.75, 0.25], [0.95, 1.0], [0.05, 1.0]]\n\
         trigger = [[0.05, 0.75], [0.95, 0.75]]\ndirection = \"approaching\"",
        "[[0.0, 0.4], [1.0, 0.4], [1.0, 0.8], [0.0, 0.8]]\ntrigger = [[0.5, 0.4], [0.5, 0.8]]",
    );
    assert_eq!(parsed(&text).warnings, []);
}

#[test]
fn doubtful_settings_are_told() {
    for (from, to, said) in [
        (
            "site = \"north-gate\"\n",
            "",
            "line 1: site: is not given, so it is \"site\"",
        ),
        (
            "agent = \"box-1\"\n",
            "",
            "line 1: agent: is not given, so it is \"kakou\"",
        ),
        (
            "[vision]",
            "answer_timeout_s = 61\n[vision]",
            "line 5: broker.answer_timeout_s: 61 s is more than twice `keep_alive_s` = 30 (the default)",
        ),
        (
            "[vision]",
            "keep_alive_s = 5\nanswer_timeout_s = 11\n[vision]",
            "line 6: broker.answer_timeout_s: 11 s is more than twice `keep_alive_s` = 5 (line 5)",
        ),
        (
            "mqtt://127.0.0.1:1883\"",
            "mqtt://10.0.0.1\"\nuser = \"u\"",
            "line 4: broker.url: mqtt://10.0.0.1:1883 is without TLS",
        ),
        (
            "mqtt://127.0.0.1:1883\"",
            "tcp://127.0.0.1\"",
            "line 4: broker.url: tcp:// is taken as mqtt://; write mqtt://",
        ),
        (
            "[[camera]]",
            "[[camera]]\nid = \"other\"\nurl = \"rtsp://127.0.0.1:18554/stream1\"\n[[camera]]",
            "line 12: camera.url: is the url of camera `other` (line 9) too",
        ),
    ] {
        let warned = warning(&with(from, to));
        assert!(warned.starts_with(said), "{warned}");
    }
    let local = with(
        "mqtt://127.0.0.1:1883\"",
        "mqtt://[::1]:1883\"\nuser = \"u\"",
    );
    assert_eq!(parsed(&local).warnings, []);
}

#[test]
fn an_empty_file_is_not_called_right_without_a_word() {
    let warnings = parsed("").warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}
