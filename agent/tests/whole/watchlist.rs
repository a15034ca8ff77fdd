//! `kakou watchlist`, as a person uses it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Exit code, and what was said on both streams.
fn kakou(args: &[&str]) -> (i32, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_kakou"))
        .arg("watchlist")
        .args(args)
        .output()
        .unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.code().unwrap(), String::from_utf8(said).unwrap())
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.text(name)
    }
    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn what_an_office_has_becomes_a_list_and_stays_what_it_is() {
    let folder = Folder::new();
    // UTF-16, semicolons, a title, Chinese words, a date of Excel, a mistake.
    let text = "布控名单;;;;\n号牌号码;级别;类别;备注;有效期至\n鲁E·6K829;红色;被盗抢;案件;2031/5/4\n京AO1234;红;被盗;字母O;\n沪a12345d;蓝;自定;;长期\n";
    let bytes: Vec<u8> = {
        let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes);
        [0xff, 0xfe].into_iter().chain(utf16).collect()
    };
    let office = folder.write("办公室.csv", bytes);
    let out = folder.text("list.csv");
    let (code, said) = kakou(&["import", &office, "--out", &out]);
    assert_eq!(code, 1, "a line was refused: {said}");
    for part in [
        "separated by ';', UTF-16 LE",
        "rows 3, taken 2, refused 1",
        "line 4: plate \"京AO1234\" can never match",
        "京A01234 was probably meant",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let list = read(&folder.path("list.csv"));
    assert!(
        list.contains("鲁E6K829,red,stolen,案件,2031-05-04T23:59:59+08:00"),
        "{list}"
    );
    assert!(list.ends_with("# entries 2\n"), "{list}");
    assert_eq!(
        std::fs::read_dir(folder.0.path()).unwrap().count(),
        2,
        "nothing is left beside it"
    );

    // The same list in each form that is written.
    for (form, name) in [("csv", "a.csv"), ("excel", "b.csv"), ("json", "c.json")] {
        let other = folder.text(name);
        let (code, said) = kakou(&["export", &out, "--format", form, "--out", &other]);
        assert_eq!(code, 0, "{said}");
        let (code, said) = kakou(&["diff", &out, &other]);
        assert!(
            code == 0 && said.contains("added 0, gone 0, changed 0"),
            "{said}"
        );
    }
    let (code, said) = kakou(&["import", &office, "--mend", "--out", &out]);
    assert!(code == 0 && said.contains("taken as 京A01234"), "{said}");
    let (code, said) = kakou(&["diff", &folder.text("a.csv"), &out]);
    assert!(
        code == 1 && said.contains("+ 京A·01234") && said.contains("added 1, gone 0, changed 0"),
        "{said}"
    );
    let (_, said) = kakou(&["show", &out, "--limit", "1"]);
    for part in [
        "3 entries",
        "levels: red 2, blue 1",
        "stolen 2",
        "and 2 more",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn a_plate_is_tried_and_what_stands_against_it_is_said() {
    let folder = Folder::new();
    let list = folder.write(
        "list.csv",
        "plate,level,category,valid_until,kind,cameras\n鲁E6K829,red,stolen,2024-06-30,,\n鲁E6K829,yellow,inspection,,02,\n京A1234S,orange,wanted,,,\n皖B8*,blue,own,,,cam-7\n",
    );
    let test = |plate: &str, more: &[&str]| {
        let args = [
            &[
                "test",
                plate,
                "--list",
                &list,
                "--time",
                "2031-01-01T12:00:00+08:00",
            ],
            more,
        ]
        .concat();
        kakou(&args)
    };
    let (code, said) = test("鲁E·6K829", &["--colour", "blue", "--class", "car"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.starts_with("HIT exact score 0.9500  list line 3: 鲁E·6K829  yellow"),
        "{said}"
    );
    assert!(
        said.contains("not: not within its validity: list line 2"),
        "{said}"
    );
    let (code, said) = test("鲁E6K829", &["--colour", "yellow", "--class", "truck"]);
    assert!(code == 1 && said.contains("no hit for 鲁E·6K829"), "{said}");
    let (code, said) = test("京A12345", &[]);
    assert!(
        code == 0 && said.contains("HIT near") && said.contains("place 7: read 5, listed S"),
        "{said}"
    );
    let (code, _) = test("皖B81234", &[]);
    assert_eq!(code, 1);
    let (code, said) = test("皖B81234", &["--camera", "cam-7"]);
    assert!(code == 0 && said.contains("HIT pattern"), "{said}");
}

#[test]
fn what_cannot_be_read_says_where_and_what_to_do() {
    let folder = Folder::new();
    for (name, bytes, part) in [
        ("empty.csv", &b""[..], "the list is empty"),
        ("none.csv", b"a,b\n1,2\n", "no header"),
        (
            "old.xls",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1....",
            "save it as .xlsx",
        ),
        ("cut.csv", b"plate,level,category\nAB1234,red,a", "cut off"),
        ("bad.json", b"[{\"plate\": }]", "line 1: this is no JSON"),
        (
            "typo.csv",
            b"plate,level,category,valid_untl\n",
            "\"valid_until\" was probably meant",
        ),
    ] {
        let file = folder.write(name, bytes);
        let (code, said) = kakou(&["verify", &file]);
        assert!(
            code == 1 && said.contains(part) && said.contains(name),
            "{name}: {said}"
        );
    }
    let (code, said) = kakou(&["verify", &folder.text("lost.csv")]);
    assert!(
        code == 1 && said.contains("lost.csv: No such file"),
        "{said}"
    );
    let (code, said) = kakou(&["verify", folder.0.path().to_str().unwrap()]);
    assert!(code == 1 && said.contains("is no file"), "{said}");
}

#[test]
fn a_configs_lists_are_checked_as_it_says_they_are_read() {
    let folder = Folder::new();
    folder.write("a.csv", "车牌\n鲁E6K829\n");
    folder.write(
        "b.csv",
        "plate,level,category,valid_until\n京A12345,red,a,2031-05-04\n京A12346,red,a,\n",
    );
    let config = folder.write(
        "kakou.toml",
        "[watchlist]\nrequire = [\"end\", \"authority\"]\nmin_score = { red = 0.5 }\n\
         [[watchlist.list]]\nname = \"residents\"\nfile = \"a.csv\"\nmode = \"allow\"\nauthority = \"town\"\n\
         [[watchlist.list]]\nfile = \"b.csv\"\nauthority = \"police\"\n",
    );
    let (code, said) = kakou(&["verify", "--config", &config]);
    assert_eq!(code, 1);
    assert!(
        said.contains("a.csv: CSV") && said.contains("line 3: it has no end"),
        "{said}"
    );
    let (code, said) = kakou(&[
        "test",
        "京A12345",
        "--config",
        &config,
        "--time",
        "2031-01-01T12:00:00+08:00",
    ]);
    assert!(
        code == 0 && said.contains("HIT exact") && said.contains("also unlisted"),
        "{said}"
    );
}
