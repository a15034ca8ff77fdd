#![allow(clippy::unwrap_used)]
use CameraState as S;
use proptest::prelude::*;

use super::*;

const SIZE: (u32, u32) = (1920, 1080);

/// A camera and its clock.
struct Rig {
    condition: Condition,
    now: Duration,
    /// The states told, in order.
    told: Vec<S>,
}

impl Rig {
    fn new(config: ConditionConfig) -> Self {
        Self {
            condition: Condition::new(config, Duration::ZERO),
            now: Duration::ZERO,
            told: Vec::new(),
        }
    }

    fn on(&mut self, event: CameraEvent) {
        if let Some(change) = self.condition.on(self.now, event) {
            assert_eq!(change.state, self.condition.state());
            assert_ne!(change.state, change.was);
            assert_eq!(change.was, self.told.last().copied().unwrap_or(S::Starting));
            assert!(change.since <= self.now);
            self.told.push(change.state);
        }
    }

    /// Frames at a rate for so many seconds.
    fn frames(&mut self, seconds: f32, fps: f32, size: (u32, u32), view: View) {
        for _ in 0..(seconds * fps).round() as usize {
            self.now += Duration::from_secs_f32(1.0 / fps);
            self.on(CameraEvent::Frame { size, view });
        }
    }

    fn well(&mut self, seconds: f32) {
        self.frames(seconds, 25.0, SIZE, View::Clear);
    }

    fn ticks(&mut self, seconds: f32) {
        for _ in 0..(seconds * 5.0) as usize {
            self.now += Duration::from_millis(200);
            self.on(CameraEvent::Tick);
        }
    }

    fn fail(&mut self, kind: FailKind, text: &str) {
        self.on(CameraEvent::Failed {
            kind,
            text: text.into(),
        });
    }

    fn connect(&mut self) {
        self.on(CameraEvent::Connecting);
        self.on(CameraEvent::Connected { rate: None });
    }

    fn told(&mut self) -> Vec<S> {
        std::mem::take(&mut self.told)
    }
}

fn running() -> Rig {
    let mut rig = Rig::new(ConditionConfig::default());
    rig.connect();
    rig.well(30.0);
    assert_eq!(rig.told(), [S::Ok]);
    rig.told.push(S::Ok);
    rig
}

/// What was told since the camera ran well.
fn since_ok(rig: &mut Rig) -> Vec<S> {
    let told = rig.told();
    rig.told.extend(told.last());
    told[1..].to_vec()
}

#[test]
fn a_failed_start_says_why() {
    for (kind, state) in [
        (FailKind::Unauthorised, S::Unauthorised),
        (FailKind::Unreachable, S::Unreachable),
        (FailKind::BrokenStream, S::BrokenStream),
        (FailKind::Silent, S::NoFrames),
    ] {
        let mut rig = Rig::new(ConditionConfig::default());
        rig.on(CameraEvent::Connecting);
        rig.fail(kind, "so it was");
        assert_eq!(
            (rig.condition.state(), rig.condition.detail()),
            (state, Some("so it was"))
        );
        assert_eq!(rig.condition.health(), Health::Failed);
        // Tried again and again: told once.
        for _ in 0..20 {
            rig.ticks(2.0);
            rig.on(CameraEvent::Connecting);
            rig.fail(kind, "so it was");
        }
        assert_eq!(rig.told(), [state]);
        rig.told.push(state);
        rig.connect();
        rig.well(3.0);
        assert_eq!(since_ok(&mut rig), [S::Ok]);
        assert_eq!(rig.condition.detail(), None);
    }
}

#[test]
fn a_camera_that_answers_and_sends_nothing() {
    let mut rig = Rig::new(ConditionConfig::default());
    rig.connect();
    rig.ticks(14.0);
    assert_eq!(rig.told(), []);
    rig.ticks(2.0);
    assert_eq!(rig.told(), [S::NoFrames]);
    assert_eq!(rig.condition.detail(), Some("no frame came within 15 s"));
}

#[test]
fn a_stream_that_pauses_is_told_from_its_last_frame_on() {
    let mut rig = running();
    let last = rig.now;
    rig.ticks(4.8);
    assert_eq!(since_ok(&mut rig), []);
    rig.ticks(20.0);
    assert_eq!(since_ok(&mut rig), [S::NoFrames]);
    assert_eq!(
        (rig.condition.since(), rig.condition.detail()),
        (last, Some("no frame for 5 s"))
    );
    let back = rig.now;
    rig.well(20.0);
    assert_eq!(since_ok(&mut rig), [S::Ok]);
    assert!(rig.condition.since() - back < Duration::from_secs(1));
}

#[test]
fn a_server_that_restarts_at_once_is_not_told_and_one_that_stays_away_is() {
    let mut rig = running();
    rig.fail(FailKind::BrokenStream, "end of stream");
    rig.ticks(1.0);
    rig.connect();
    rig.well(20.0);
    assert_eq!(since_ok(&mut rig), []);
    rig.fail(FailKind::BrokenStream, "end of stream");
    for _ in 0..10 {
        rig.ticks(1.0);
        rig.on(CameraEvent::Connecting);
        rig.fail(FailKind::Unreachable, "connection refused");
    }
    assert_eq!(since_ok(&mut rig), [S::Unreachable]);
    // Back, but silent; then a wrong password; then well.
    rig.connect();
    rig.ticks(8.0);
    assert_eq!(since_ok(&mut rig), [S::NoFrames]);
    rig.fail(FailKind::Unauthorised, "401");
    rig.ticks(2.0);
    assert_eq!(since_ok(&mut rig), [S::Unauthorised]);
    rig.connect();
    rig.well(5.0);
    assert_eq!(since_ok(&mut rig), [S::Ok]);
}

#[test]
fn what_the_picture_shows_is_told_the_worst_first() {
    let mut rig = running();
    for (view, state, health) in [
        (View::TurnedAway, S::TurnedAway, Health::Degraded),
        (View::Frozen, S::Frozen, Health::Failed),
        (View::Blinded, S::Blinded, Health::Failed),
        (View::Black, S::Black, Health::Failed),
    ] {
        rig.frames(5.0, 25.0, SIZE, view);
        assert_eq!(since_ok(&mut rig), [state]);
        assert_eq!(rig.condition.health(), health);
    }
    // Black outweighs a wrong size and a low rate; no frame outweighs all.
    rig.frames(40.0, 5.0, (640, 480), View::Black);
    assert_eq!(since_ok(&mut rig), []);
    rig.ticks(10.0);
    assert_eq!(since_ok(&mut rig), [S::NoFrames]);
    rig.frames(5.0, 5.0, (640, 480), View::Clear);
    assert_eq!(since_ok(&mut rig), [S::WrongSize]);
}

#[test]
fn a_size_that_changes_is_told_and_then_believed() {
    let mut rig = running();
    rig.frames(50.0, 25.0, (1280, 720), View::Clear);
    assert_eq!(since_ok(&mut rig), [S::WrongSize]);
    assert_eq!(
        rig.condition.detail(),
        Some("1280x720, before it was 1920x1080")
    );
    rig.frames(20.0, 25.0, (1280, 720), View::Clear);
    assert_eq!(since_ok(&mut rig), [S::Ok]);
    // A configured one never is.
    let mut rig = Rig::new(ConditionConfig {
        size: Some(SIZE),
        ..ConditionConfig::default()
    });
    rig.connect();
    rig.frames(300.0, 25.0, (1280, 720), View::Clear);
    assert_eq!(rig.told(), [S::WrongSize]);
    assert_eq!(
        rig.condition.detail(),
        Some("1280x720, the config says 1920x1080")
    );
}

#[test]
fn a_box_that_cannot_keep_up_says_so_until_it_can() {
    let mut rig = Rig::new(ConditionConfig::default());
    rig.on(CameraEvent::Connected { rate: Some(25.0) });
    rig.well(20.0);
    let too_slow = Some(1.8);
    rig.on(CameraEvent::Pace { too_slow });
    assert_eq!(rig.told, [S::Ok, S::Overloaded]);
    assert!(rig.condition.detail().unwrap().contains("1.8 looks"));
    assert_eq!(rig.condition.health(), Health::Degraded);
    rig.well(5.0);
    assert_eq!(rig.condition.state(), S::Overloaded);
    rig.on(CameraEvent::Pace { too_slow: None });
    rig.well(5.0);
    assert_eq!(rig.told().last(), Some(&S::Ok));
}

#[test]
fn a_rate_that_falls_is_told_once_and_its_return_too() {
    for declared in [None, Some(25.0)] {
        let mut rig = Rig::new(ConditionConfig::default());
        rig.on(CameraEvent::Connecting);
        rig.on(CameraEvent::Connected { rate: declared });
        rig.well(60.0);
        assert_eq!(rig.told(), [S::Ok]);
        rig.told.push(S::Ok);
        rig.frames(40.0, 10.0, SIZE, View::Clear);
        assert_eq!(since_ok(&mut rig), [S::LowRate], "{declared:?}");
        assert!(
            rig.condition.detail().unwrap().ends_with("frames a second"),
            "{:?}",
            rig.condition.detail()
        );
        assert!(
            (rig.condition.fps(rig.now) - 10.0).abs() < 0.6,
            "{}",
            rig.condition.fps(rig.now)
        );
        // Between the bars: as it was.
        rig.frames(40.0, 17.0, SIZE, View::Clear);
        assert_eq!(since_ok(&mut rig), []);
        rig.well(40.0);
        assert_eq!(since_ok(&mut rig), [S::Ok]);
        rig.frames(40.0, 17.0, SIZE, View::Clear);
        assert_eq!(since_ok(&mut rig), []);
    }
    // Slow from the beginning is told only if somebody knows better; a clock's 90 000 ticks are no
    // rate.
    for (rate, states) in [
        (None, vec![S::Ok]),
        (Some(90_000.0), vec![S::Ok]),
        (Some(25.0), vec![S::Ok, S::LowRate]),
    ] {
        let mut rig = Rig::new(ConditionConfig::default());
        rig.on(CameraEvent::Connected { rate });
        rig.frames(60.0, 8.0, SIZE, View::Clear);
        assert_eq!(rig.told(), states, "{rate:?}");
    }
}

#[test]
fn garbage_that_cannot_be_decoded_is_a_broken_stream() {
    let mut rig = running();
    for _ in 0..100 {
        rig.now += Duration::from_millis(40);
        rig.on(CameraEvent::Damaged);
        rig.now += Duration::from_millis(400);
        rig.on(CameraEvent::Frame {
            size: SIZE,
            view: View::Clear,
        });
        rig.on(CameraEvent::Damaged);
    }
    assert_eq!(since_ok(&mut rig), [S::BrokenStream]);
    rig.well(30.0);
    assert_eq!(since_ok(&mut rig).last(), Some(&S::Ok));
}

#[test]
fn off_duty_and_the_end_of_a_recording_are_well() {
    let mut rig = running();
    rig.on(CameraEvent::OffDuty);
    rig.ticks(60.0);
    assert_eq!(since_ok(&mut rig), [S::OffDuty]);
    rig.connect();
    rig.well(5.0);
    assert_eq!(since_ok(&mut rig), [S::Starting, S::Ok]);
    rig.on(CameraEvent::Ended);
    rig.ticks(60.0);
    assert_eq!(since_ok(&mut rig), [S::Ended]);
    assert_eq!(rig.condition.health(), Health::Ok);
}

fn any_event() -> impl Strategy<Value = CameraEvent> {
    let kind = prop_oneof![
        Just(FailKind::Unauthorised),
        Just(FailKind::Unreachable),
        Just(FailKind::BrokenStream),
        Just(FailKind::Silent)
    ];
    let view = prop_oneof![4 => Just(View::Clear), 1 => Just(View::Black), 1 => Just(View::Frozen)];
    prop_oneof![
        8 => view.prop_map(|view| CameraEvent::Frame { size: SIZE, view }),
        2 => Just(CameraEvent::Tick),
        1 => Just(CameraEvent::Damaged),
        1 => Just(CameraEvent::Connecting),
        1 => Just(CameraEvent::Connected { rate: Some(25.0) }),
        1 => kind.prop_map(|kind| CameraEvent::Failed { kind, text: "x".into() }),
    ]
}

proptest! {
    /// Whatever happened before, a camera that then runs well is `ok` within seconds, and one that
    /// is silent is not.
    #[test]
    fn it_always_recovers_and_never_looks_well_without_frames(
        events in prop::collection::vec((any_event(), 0_u64..3000), 0..200),
    ) {
        let mut rig = Rig::new(ConditionConfig::default());
        for (event, wait) in events {
            rig.now += Duration::from_millis(wait);
            rig.on(event);
            let silent = rig.condition.last_frame().map_or(rig.now, |l| rig.now - l);
            prop_assert!(rig.condition.state() != S::Ok || silent < Duration::from_secs(5));
        }
        rig.connect();
        rig.well(25.0);
        prop_assert_eq!(rig.condition.state(), S::Ok);
        rig.ticks(6.0);
        prop_assert_eq!(rig.condition.state(), S::NoFrames);
        prop_assert_eq!(rig.condition.health(), Health::Failed);
    }
}

#[test]
fn a_box_that_cannot_keep_up_does_not_make_a_camera_slow() {
    let ms = Duration::from_millis;
    let mut c = Condition::new(ConditionConfig::default(), ms(0));
    c.on(ms(0), CameraEvent::Connecting);
    c.on(ms(10), CameraEvent::Connected { rate: Some(25.0) });
    // Of 25 frames a second two are looked at.
    for n in 0..120_u64 {
        let now = ms(20 + n * 500);
        c.on(
            now,
            CameraEvent::Frame {
                size: (640, 360),
                view: View::Clear,
            },
        );
        c.on(
            now,
            CameraEvent::Displaced {
                frames: if n % 2 == 0 { 11 } else { 12 },
            },
        );
        assert!(
            matches!(c.state(), CameraState::Starting | CameraState::Ok),
            "{:?} {:?}",
            c.state(),
            c.detail()
        );
    }
    let fps = c.fps(ms(20 + 119 * 500));
    assert!((24.0..26.0).contains(&fps), "{fps}");
}
