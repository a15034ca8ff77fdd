//! Lines of bounded width, in languages with and without spaces.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Marks that end a phrase: a line of Chinese Markdown may break behind them, because the space
/// that a browser puts there does not show.
const BREAKS: [char; 6] = ['，', '。', '；', '：', '）', '、'];

/// `text` in lines of at most `columns`, where words and marks allow it.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for piece in pieces(text) {
        if !line.is_empty() && line.width() + piece.trim_end().width() > columns {
            lines.push(line.trim_end().to_owned());
            line.clear();
        }
        line.push_str(&piece);
    }
    if !line.trim().is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// What must not be torn apart: words with the space behind them, phrases of Chinese. Code in
/// backquotes stays whole.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut code = false;
    for c in text.chars() {
        piece.push(c);
        code ^= c == '`';
        let wide_stop = BREAKS.contains(&c) && c.width() == Some(2);
        // A space beside Chinese belongs to the phrase.
        let space = c == ' ' && !piece.chars().any(|p| p.width() == Some(2));
        if !code && (wide_stop || space) {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_are_no_longer_than_asked() {
        assert_eq!(
            wrap("one `two three` four five", 14),
            ["one", "`two three`", "four five"]
        );
        assert_eq!(
            wrap("超出时先丢弃图片，最后才是命中。每次都上报。", 24),
            ["超出时先丢弃图片，", "最后才是命中。", "每次都上报。"]
        );
    }
}
