#![allow(clippy::unwrap_used)]

use super::super::config::PushSettings;
use super::*;

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

fn recipient(prefecture: Option<&str>) -> Recipient {
    Recipient {
        name: id("r"),
        prefecture: prefecture.map(id),
        levels: Level::ALL.to_vec(),
        states: HitState::ALL.to_vec(),
        areas: None,
        categories: None,
        webhook: None,
        mqtt: None,
    }
}

fn agreement(from: &str, to: &str) -> AgreementConfig {
    AgreementConfig {
        from: id(from),
        to: id(to),
        levels: vec![Level::Red],
        categories: None,
        sites: None,
        pictures: false,
        reason: false,
        authority: false,
    }
}

fn recipients(home: Option<&str>, agreements: Vec<AgreementConfig>) -> Recipients {
    Recipients {
        list: Vec::new(),
        agreements,
        settings: PushSettings {
            prefecture: home.map(id),
            ..PushSettings::default()
        },
    }
}

const HIT: HitFacts<'static> = HitFacts {
    site: "north-gate",
    prefecture: Some("A"),
    level: Level::Red,
    state: HitState::Confirmed,
    category: "stolen",
};

const BARE: Grant = Grant {
    pictures: false,
    reason: false,
    authority: false,
};

#[test]
fn the_matrix_of_prefectures() {
    let with = |change: fn(&mut AgreementConfig)| {
        let mut it = agreement("A", "B");
        change(&mut it);
        vec![it]
    };
    let other = |change: fn(&mut HitFacts<'static>)| {
        let mut hit = HIT;
        change(&mut hit);
        hit
    };
    // Home, prefecture of the recipient, agreements, hit, grant.
    type Row = (
        &'static str,
        Option<&'static str>,
        Option<&'static str>,
        Vec<AgreementConfig>,
        HitFacts<'static>,
        Option<Grant>,
    );
    let table: Vec<Row> = vec![
        ("own", None, Some("A"), vec![], HIT, Some(Grant::WHOLE)),
        (
            "foreign, nothing agreed",
            None,
            Some("B"),
            vec![],
            HIT,
            None,
        ),
        (
            "foreign, agreed",
            None,
            Some("B"),
            with(|_| ()),
            HIT,
            Some(BARE),
        ),
        (
            "agreed the other way",
            None,
            Some("B"),
            vec![agreement("B", "A")],
            HIT,
            None,
        ),
        (
            "agreed with a third",
            None,
            Some("B"),
            vec![agreement("A", "C")],
            HIT,
            None,
        ),
        (
            "of a third",
            None,
            Some("B"),
            vec![agreement("C", "B")],
            HIT,
            None,
        ),
        (
            "another level",
            None,
            Some("B"),
            with(|_| ()),
            other(|h| h.level = Level::Blue),
            None,
        ),
        (
            "its category",
            None,
            Some("B"),
            with(|a| a.categories = Some(vec!["stolen".into()])),
            HIT,
            Some(BARE),
        ),
        (
            "another category",
            None,
            Some("B"),
            with(|a| a.categories = Some(vec!["murder".into()])),
            HIT,
            None,
        ),
        (
            "its site",
            None,
            Some("B"),
            with(|a| a.sites = Some(vec![id("north-gate")])),
            HIT,
            Some(BARE),
        ),
        (
            "another site",
            None,
            Some("B"),
            with(|a| a.sites = Some(vec![id("south-gate")])),
            HIT,
            None,
        ),
        (
            "with pictures",
            None,
            Some("B"),
            with(|a| a.pictures = true),
            HIT,
            Some(Grant {
                pictures: true,
                ..BARE
            }),
        ),
        (
            "two agreements add up",
            None,
            Some("B"),
            [with(|a| a.reason = true), with(|a| a.authority = true)].concat(),
            HIT,
            Some(Grant {
                reason: true,
                authority: true,
                ..BARE
            }),
        ),
        (
            "an agreement for another level adds nothing",
            None,
            Some("B"),
            [
                with(|_| ()),
                with(|a| {
                    a.levels = vec![Level::Blue];
                    a.reason = true;
                }),
            ]
            .concat(),
            HIT,
            Some(BARE),
        ),
        (
            "a site without a prefecture is the centre's",
            Some("A"),
            Some("A"),
            vec![],
            other(|h| h.prefecture = None),
            Some(Grant::WHOLE),
        ),
        (
            "and foreign to others",
            Some("A"),
            Some("B"),
            vec![],
            other(|h| h.prefecture = None),
            None,
        ),
        (
            "nobody knows whose it is",
            None,
            Some("B"),
            with(|_| ()),
            other(|h| h.prefecture = None),
            None,
        ),
        (
            "a config without prefectures",
            None,
            None,
            vec![],
            HIT,
            Some(Grant::WHOLE),
        ),
    ];
    for (what, home, own, agreements, hit, grant) in table {
        let all = recipients(home, agreements);
        assert_eq!(all.grant(&recipient(own), &hit), grant, "{what}");
    }
}

#[test]
fn its_own_choice_narrows() {
    let all = recipients(None, vec![agreement("A", "B")]);
    let mut it = recipient(Some("B"));
    let is_told = |it: &Recipient| all.grant(it, &HIT).is_some();
    for (areas, told) in [
        (vec!["A"], true),
        (vec!["north-gate"], true),
        (vec!["south-gate", "A"], true),
        (vec!["B"], false),
        (vec!["south-gate"], false),
    ] {
        it.areas = Some(areas.iter().map(|area| id(area)).collect());
        assert_eq!(is_told(&it), told, "{areas:?}");
    }
    it.areas = None;
    assert!(is_told(&it));
    it.states = vec![HitState::Provisional];
    assert!(!is_told(&it));
    it.states = vec![HitState::Confirmed];
    it.levels = vec![Level::Orange];
    assert!(!is_told(&it));
    it.levels = vec![Level::Red];
    it.categories = Some(vec!["murder".into()]);
    assert!(!is_told(&it));
    it.categories = Some(vec!["murder".into(), "stolen".into()]);
    assert!(is_told(&it));
}
