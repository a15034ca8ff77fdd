//! What the cameras of the tests show: videos made by ffmpeg of the sample footage, once per target
//! folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// Frames of `samples/day` that show the empty road.
const EMPTY: std::ops::RangeInclusive<usize> = 147..=154;
const DAY: usize = 155;
const RARE_FRAMES: usize = 400;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Codec {
    H264,
    /// With B-frames: sent in another order than shown.
    H264B,
    H265,
}

/// What is seen. All but `Small` is 1280x720, and all have 10 frames/s and a key frame a second.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scene {
    /// `samples/day` with eight seconds of empty road after it: one of its vehicles stands for a
    /// while, and such a one is waited for some ten seconds. In a loop it is to be gone before it
    /// comes again.
    Day,
    /// `samples/leaving`, the same way.
    Leaving,
    /// The empty road, a little different in each picture.
    Empty,
    /// The empty road for 40 s, with a key frame at its beginning and no other: a smart codec.
    Rare,
    /// One picture again and again, as a stream that repeats it: unchanged.
    Frozen,
    /// One picture again and again, as a camera encodes it whose sensor stands still: anew with
    /// each key frame, at a steady quality. Where an encoder's rate control changes that from key
    /// frame to key frame, no picture comes again.
    Stuck,
    /// The lens covered: black, with a sensor's noise.
    Black,
    /// A light into the lens.
    Bright,
    /// The camera turned away: nothing is where it was.
    Elsewhere,
    /// As `Day`, at 640x360.
    Small,
}

fn samples(sequence: &str, number: usize) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("samples/{sequence}/{number:06}.jpg"))
}

/// The empty road for so many frames: there and back through those there are.
fn empty(frames: usize) -> impl Iterator<Item = PathBuf> {
    EMPTY
        .chain(EMPTY.rev())
        .cycle()
        .take(frames)
        .map(|n| samples("day", n))
}

/// The pictures of [`Scene::Day`].
pub(crate) fn day_pictures() -> Vec<PathBuf> {
    then_empty("day", DAY, 80)
}

/// More than the agent remembers: pictures that came round would be a frozen camera's.
pub(crate) fn empty_pictures() -> Vec<PathBuf> {
    empty(150).collect()
}

fn then_empty(sequence: &str, frames: usize, empty_frames: usize) -> Vec<PathBuf> {
    (0..frames)
        .map(|n| samples(sequence, n))
        .chain(empty(empty_frames))
        .collect()
}

fn words(text: &str) -> Vec<String> {
    text.split(' ')
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

fn encoder(codec: Codec, gop: u32) -> Vec<String> {
    let how = match codec {
        Codec::H264 => "-c:v libx264 -preset veryfast -bf 0 -crf 18",
        Codec::H264B => "-c:v libx264 -preset veryfast -bf 3 -crf 18",
        Codec::H265 => {
            "-c:v libx265 -preset ultrafast -crf 18 -tag:v hvc1 -x265-params log-level=error"
        }
    };
    words(&format!("{how} -pix_fmt yuv420p -g {gop}"))
}

/// The video that ffmpeg makes of these sequences of pictures (10 a second each) with these
/// arguments; one made before is taken again.
fn make(name: &str, sequences: &[Vec<PathBuf>], arguments: &[String]) -> PathBuf {
    let digest = Sha256::digest(format!("{sequences:?}{arguments:?}"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("footage");
    std::fs::create_dir_all(&folder).expect("a folder for footage");
    let path = folder.join(format!(
        "{name}-{:02x}{:02x}{:02x}{:02x}.mp4",
        digest[0], digest[1], digest[2], digest[3]
    ));
    if path.is_file() {
        return path;
    }
    // ffmpeg numbers its pictures by their names.
    let work = tempfile::tempdir_in(&folder).expect("a temporary folder");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]);
    for (i, sequence) in sequences.iter().enumerate() {
        let dir = work.path().join(i.to_string());
        std::fs::create_dir(&dir).expect("its folder");
        for (n, picture) in sequence.iter().enumerate() {
            std::fs::copy(picture, dir.join(format!("{n:06}.jpg"))).expect("a copy");
        }
        command
            .args(["-framerate", "10", "-i"])
            .arg(dir.join("%06d.jpg"));
    }
    let unfinished = work.path().join("new.mp4");
    let made = command
        .args(arguments)
        .arg(&unfinished)
        .output()
        .expect("ffmpeg is there: `make test` installs it");
    assert!(
        made.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    // Whole or not at all, also when two tests make it at once.
    std::fs::rename(&unfinished, &path).expect("the video's place");
    path
}

/// How long [`Scene::Day`] is, and from when on its road is empty.
pub(crate) const DAY_SECONDS: f64 = 23.5;
pub(crate) const DAY_EMPTY_FROM: f64 = 15.0;

pub(crate) fn clip(scene: Scene, codec: Codec) -> PathBuf {
    const NOISE: &str = "noise=c0s=4:c0f=t";
    let still = |filter: &str| {
        (
            vec![vec![samples("day", DAY - 1); 150]],
            words(&format!("-vf {filter}")),
        )
    };
    let gop = match scene {
        Scene::Frozen => 150,
        Scene::Rare => RARE_FRAMES as u32,
        _ => 10,
    };
    let (pictures, mut arguments) = match scene {
        Scene::Day => (vec![day_pictures()], vec![]),
        Scene::Leaving => (vec![then_empty("leaving", 32, 30)], vec![]),
        Scene::Empty => (vec![empty_pictures()], words(&format!("-vf {NOISE}"))),
        Scene::Rare => (
            vec![empty(RARE_FRAMES).collect()],
            words(&format!("-vf {NOISE} -sc_threshold 0")),
        ),
        Scene::Frozen | Scene::Stuck => still("null"),
        Scene::Black => still(&format!("format=yuv420p,lutyuv=y=18:u=128:v=128,{NOISE}")),
        Scene::Bright => still(&format!("format=yuv420p,lutyuv=y=235:u=128:v=128,{NOISE}")),
        Scene::Elsewhere => still(&format!(
            "crop=640:360:0:0,hflip,vflip,scale=1280:720,{NOISE}"
        )),
        Scene::Small => (vec![day_pictures()], words("-vf scale=640:360")),
    };
    arguments.extend(encoder(codec, gop));
    if matches!(scene, Scene::Stuck) {
        arguments.extend(words(
            "-qp 20 -x264-params scenecut=0:mbtree=0:rc-lookahead=0",
        ));
    }
    make(
        &format!("{scene:?}-{codec:?}").to_lowercase(),
        &pictures,
        &arguments,
    )
}

/// As a usual camera of today sends it: 1920x1080, 25 frames/s, H.264 at 4 Mbit/s, a key frame
/// every two seconds, and a sensor's noise, so that no picture is quite the one before. Pictures
/// are repeated, not blended.
fn full_size() -> Vec<String> {
    words(
        "-c:v libx264 -preset veryfast -bf 0 -b:v 4M -maxrate 6M -bufsize 8M -g 50 -pix_fmt yuv420p",
    )
}

const FULL: &str = "scale=1920:1080:flags=lanczos,fps=25,noise=c0s=6:c0f=t";

/// How long [`busy_road`] is: seven vehicles in it are one every five seconds.
pub(crate) const BUSY_SECONDS: usize = 35;

/// When lane 2 of [`busy_road`] begins.
pub(crate) const SECOND_LANE_SECONDS: f64 = 17.0;

/// The vehicles of `samples/day`, each lane at its own time: three in lane 1 from the start on,
/// four in lane 2 from [`SECOND_LANE_SECONDS`] on.
pub(crate) fn busy_road() -> PathBuf {
    let frames = BUSY_SECONDS * 10;
    let left = then_empty("day", DAY, frames - DAY);
    let late = (SECOND_LANE_SECONDS * 10.0) as usize;
    let right = empty(late)
        .chain(then_empty("day", DAY, frames - late - DAY))
        .collect();
    let filter = format!("[0]crop=640:720:0:0[l];[1]crop=640:720:640:0[r];[l][r]hstack,{FULL}");
    let mut arguments = vec!["-filter_complex".to_owned(), filter];
    arguments.extend(full_size());
    make("busy-road", &[left, right], &arguments)
}

/// The empty road; nothing moves but the noise.
pub(crate) fn empty_road() -> PathBuf {
    let mut arguments = vec!["-vf".to_owned(), FULL.to_owned()];
    arguments.extend(full_size());
    make("empty-road", &[empty(200).collect()], &arguments)
}

/// `samples/day` at 3840x2160 and 10 frames/s.
pub(crate) fn large_road() -> PathBuf {
    let filter = "scale=3840:2160:flags=lanczos,noise=c0s=6:c0f=t";
    let mut arguments = words(&format!("-vf {filter}"));
    arguments.extend(words(
        "-c:v libx264 -preset ultrafast -bf 0 -crf 24 -g 20 -pix_fmt yuv420p",
    ));
    make("large-road", &[day_pictures()], &arguments)
}
