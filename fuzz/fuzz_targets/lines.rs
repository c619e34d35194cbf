//! Line protocol: whatever a name or a text holds, it is one line with as many tags and fields as were written.

#![no_main]

use flagmeter_model::Name;
use flagmeter_store::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str, i64)| {
    let (first, second, text, time) = input;
    let (Ok(first), Ok(second)) = (Name::new(first), Name::new(second)) else { return };
    let line = fuzzing::line(&[("a", &first), ("b", &second)], text, time);
    let (key, rest) = cut(&line, b' ');
    let (measurement, tags) = cut(key, b',');
    assert_eq!(measurement, b"m");
    let (tag_a, tag_b) = cut(tags, b',');
    for (tag, name, value) in [(tag_a, b"a", &first), (tag_b, b"b", &second)] {
        let (key, written) = cut(tag, b'=');
        assert_eq!(key, name);
        let written = std::str::from_utf8(written).expect("UTF-8").to_owned();
        let written = [",", "=", " "].iter().fold(written, |it, sign| it.replace(&format!("\\{sign}"), sign));
        assert_eq!(fuzzing::text_of_tag(&written), **value);
    }
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    assert_eq!(rest, format!("t=\"{quoted}\",n={time}i {time}\n").as_bytes());
});

/// Up to a separator that no backslash stands before, and what follows it.
fn cut(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == separator => return (&text[..at], &text[at + 1..]),
            _ => at += 1,
        }
    }
    (text, &[])
}
