//! Texts of brokers, cameras, files and lists, before a person reads them. Such a text must not
//! steer a terminal, forge a line of its own, or write from right to left over what stands before.

/// Whether a character may steer a terminal or hide something. Line breaks too.
pub fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Directions, joiners, spaces without width, separators of lines and paragraphs, tags.
            '\u{00ad}'
                | '\u{061c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// On one line, each such character written as an escape: nothing is lost, and nothing acts.
pub fn clean_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_steering(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The same, but the text may have several lines.
pub fn clean(text: &str) -> String {
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| clean_line(line.strip_suffix('\r').unwrap_or(line)))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_steers_is_written_out() {
        let told = "x\n2026-01-01 INFO forged\u{1b}[2J\u{9b}31m\u{85}\u{202e}\u{200f}\u{feff}";
        assert_eq!(
            clean_line(told),
            "x\\n2026-01-01 INFO forged\\u{1b}[2J\\u{9b}31m\\u{85}\\u{202e}\\u{200f}\\u{feff}"
        );
        assert_eq!(clean("a\r\nb\u{7}"), "a\nb\\u{7}");
        assert_eq!(clean_line("鲁E6K829 é 👮"), "鲁E6K829 é 👮");
    }

    proptest! {
        #[test]
        fn nothing_that_steers_is_left(text in "\\PC*|.*") {
            let cleaned = clean_line(&text);
            prop_assert!(!cleaned.chars().any(is_steering));
            prop_assert_eq!(clean_line(&cleaned), cleaned);
        }
    }
}
