//! Keys that an operator gives in a list: all of them, or none with each fault told by its line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use kakou_central::trust::{ListFault, keys, pin_list};
use kakou_contract::{PublicKey, SigningKey};

use crate::support::database;

fn key(seed: u8) -> String {
    PublicKey::of(&SigningKey::from_bytes(&[seed; 32]).verifying_key()).base64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_keys_is_taken_whole_or_told_line_by_line() {
    let (_database, store) = database().await;
    let mut client = store.client().await.unwrap();
    // As a spreadsheet writes it: its mark first, columns in its own order, texts in quotes.
    let list = format!(
        "\u{feff}agent,key,site\r\nbox-1,\"{}\",north-gate\r\nbox-2, {} ,north-gate\r\n",
        key(1),
        key(2)
    );
    assert_eq!(pin_list(&mut client, list.as_bytes()).await.unwrap(), 2);
    // The same once more changes nothing.
    assert_eq!(pin_list(&mut client, list.as_bytes()).await.unwrap(), 2);

    let wrong = format!(
        "site,agent,key\nsouth-gate,box-1,{}\nsouth gate,box-1,{}\nnorth-gate,box-1,{}\nsouth-gate,box-2,abc\nsouth-gate,box-3,\n",
        key(3),
        key(4),
        key(5)
    );
    let Err(ListFault::Lines(told)) = pin_list(&mut client, wrong.as_bytes()).await else {
        panic!("a list with faults is taken");
    };
    // What stands in the file alone is told first; the rest needs the database.
    let lines: Vec<u64> = told.lines.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 6], "{told}");
    let mended: String = wrong
        .lines()
        .filter(|line| !line.starts_with("south gate") && !line.ends_with("box-3,"))
        .map(|line| format!("{line}\n"))
        .collect();
    let Err(ListFault::Lines(told)) = pin_list(&mut client, mended.as_bytes()).await else {
        panic!("a list with faults is taken");
    };
    let told = told.to_string();
    assert!(
        told.contains("line 3: north-gate/box-1 has another key since"),
        "{told}"
    );
    assert!(told.contains("line 4: south-gate/box-2"), "{told}");
    let there = keys(&client).await.unwrap();
    let names: Vec<_> = there
        .iter()
        .map(|one| (one.site.as_str(), one.agent.as_str()))
        .collect();
    assert_eq!(names, [("north-gate", "box-1"), ("north-gate", "box-2")]);
    assert_eq!(there[0].key.as_deref(), Some(&*key(1)));
}
