//! Reads XML as strictly as browsers do, and says what is wrong with it.

/// An element, with the text that stands directly in it.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) parent_class: String,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// All elements, in the order in which they begin.
pub(super) fn read(text: &str) -> Result<Vec<Element>, String> {
    let is_allowed = |char: char| matches!(char, '\t' | '\n' | '\r' | ' '..='\u{7e}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    if let Some(wrong) = text.chars().find(|char| !is_allowed(*char)) {
        return Err(format!("{wrong:?} cannot stand in XML"));
    }
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = text;
    while let Some((content, from)) = rest.split_once('<') {
        match open.last() {
            Some(at) => elements[*at].text.push_str(&unescaped(content)?),
            None if content.trim().is_empty() => {}
            None => return Err(format!("{content:?} stands outside")),
        }
        let (tag, after) = from.split_once('>').ok_or("a tag does not end")?;
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            let at = open.pop().ok_or_else(|| format!("{name} was not open"))?;
            if elements[at].name != name {
                return Err(format!("{} is closed as {name}", elements[at].name));
            }
            continue;
        }
        if open.is_empty() && !elements.is_empty() {
            return Err("there are two roots".into());
        }
        let is_empty = tag.ends_with('/');
        let mut element = element(tag.trim_end_matches('/'))?;
        let parent = open.last().and_then(|at| elements[*at].attribute("class"));
        element.parent_class = parent.unwrap_or_default().to_owned();
        elements.push(element);
        if !is_empty {
            open.push(elements.len() - 1);
        }
    }
    if !open.is_empty() || !rest.trim().is_empty() || elements.is_empty() {
        return Err(format!("{} are open, {rest:?} is left", open.len()));
    }
    Ok(elements)
}

fn element(tag: &str) -> Result<Element, String> {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-');
    let mut element = Element { name: name.to_owned(), ..Element::default() };
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or_else(|| format!("{rest:?} is no attribute"))?;
        let (value, after) = after.split_once('"').ok_or_else(|| format!("{name} does not end"))?;
        if !is_name(name) || element.attribute(name).is_some() {
            return Err(format!("{name:?} is no name, or stands twice"));
        }
        element.attributes.push((name.to_owned(), unescaped(value)?));
        rest = match after.strip_prefix(' ') {
            Some(after) => after,
            None if after.is_empty() => after,
            None => return Err(format!("{after:?} follows an attribute")),
        };
    }
    if is_name(name) { Ok(element) } else { Err(format!("{name:?} is no name")) }
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, after) = part.split_once(';').ok_or_else(|| format!("&{part} is not escaped"))?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            _ => return Err(format!("&{name}; is not known")),
        });
        out.push_str(after);
    }
    Ok(out)
}
