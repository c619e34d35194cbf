//! `flagmeter config print`.

use std::fmt::Write as _;

use super::{sources::Source, sources::Sources, table::SECTIONS};

/// The effective configuration as a TOML file that could be used in place of all its sources: every setting
/// with its explanation, its environment variable, its default where another value stands, and where the
/// value comes from. A value that holds a secret is a comment, without the secret.
pub(crate) fn print(sources: &Sources) -> String {
    let mut text = String::from(
        "# The effective configuration of flagmeter. A setting's value comes from the command line, else from its\n\
         # environment variable, else from the configuration file, else from its default.\n",
    );
    for (section, about) in SECTIONS {
        let _infallible = write!(text, "\n{}[{section}]\n", comment(about));
        for (setting, value, source) in sources.iter().filter(|(setting, ..)| setting.section == *section) {
            let written = |value: &str| {
                if setting.bare { value.to_owned() } else { toml::Value::from(value).to_string() }
            };
            let _infallible = write!(text, "\n{}# {}", comment(setting.about), setting.variable());
            let _infallible = match source {
                Source::Default => writeln!(text, " (default)"),
                other => writeln!(text, " (set by {other}; default: {})", written(setting.default)),
            };
            let _infallible = match (setting.hidden)(value) {
                None => writeln!(text, "{} = {}", setting.name, written(value)),
                Some(shown) => {
                    writeln!(text, "# {} = {}  # set, and not shown", setting.name, written(&shown))
                }
            };
        }
    }
    text
}

fn comment(lines: &[&str]) -> String {
    lines.iter().fold(String::new(), |text, line| text + "#" + line + "\n")
}

#[cfg(test)]
mod tests {
    use crate::config::{SettingArgs, print};

    #[test]
    fn what_is_printed_can_be_read_back_and_means_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let args = SettingArgs { set: vec!["edge.node=7".into()], ..SettingArgs::default() };
        let (config, sources) = args.load_from(std::iter::empty()).unwrap();
        let text = print(&sources);
        assert!(text.contains("(set by --set; default: 0)\nnode = 7"), "{text}");

        let path = folder.path().join("printed.toml");
        std::fs::write(&path, text).unwrap();
        let again = SettingArgs { config: Some(path), ..SettingArgs::default() };
        let (read_back, _) = again.load_from(std::iter::empty()).unwrap();
        assert_eq!(format!("{read_back:?}"), format!("{config:?}"));
    }

    #[test]
    fn secrets_are_set_or_not_set_and_never_shown() {
        let unset = print(&SettingArgs::default().load_from(std::iter::empty()).unwrap().1);
        assert!(unset.contains("\ntoken = \"\"\n"), "{unset}");
        let variables = [
            ("FLAGMETER_INFLUX_TOKEN", "hush"),
            ("FLAGMETER_KAFKA_PROPERTIES", "sasl.password=hush, sasl.username=edge"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let (config, sources) = SettingArgs::default().load_from(variables.into_iter()).unwrap();
        let text = print(&sources);
        assert!(
            text.contains("(set by FLAGMETER_INFLUX_TOKEN; default: \"\")\n# token = \"…\"  # set"),
            "{text}"
        );
        assert!(text.contains("sasl.username=edge"), "{text}");
        assert!(!text.contains("hush") && !format!("{config:?}").contains("hush"), "{text}");
        assert!(toml::from_str::<toml::Table>(&text).is_ok(), "{text}");
    }
}
