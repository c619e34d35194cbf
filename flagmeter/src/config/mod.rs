//! The configuration: one table of settings ([`table`]) from which everything else follows.
//!
//! A setting's value comes from the command line, else from its environment variable, else from the TOML file,
//! else from its default. Whatever is wrong is told in one sentence that names the setting, the value, where
//! it stands and what to do.

mod check;
mod edit_distance;
mod file;
mod print;
mod sources;
mod table;
mod value;

use std::{ffi::OsString, path::PathBuf};

pub(crate) use print::print;
pub(crate) use sources::Sources;
pub(crate) use table::Config;
pub(crate) use value::{LogFilter, LogFormat, Secret};

use self::value::Value as _;
use crate::{Error, Result};

/// A time on the command line, written as in the configuration.
pub(crate) fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    std::time::Duration::parse(text)
}

/// A length of time as stages and the model take it, in ms.
pub(crate) fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// What the command line says about settings.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SettingArgs {
    /// Configuration file [default: flagmeter.toml in this folder, if it is there]
    #[arg(long, value_name = "FILE", env = "FLAGMETER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Folder that keeps everything: short for --set data.path=DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Any setting, as `flagmeter config print` names them; may be repeated
    #[arg(long, value_name = "SECTION.NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// What other flags say: the flag, the setting that it is short for, and its value.
    #[arg(skip)]
    pub(crate) short: Vec<(&'static str, &'static str, String)>,
}

impl SettingArgs {
    /// Takes what a flag says that is short for a setting.
    pub(crate) fn say(&mut self, flag: &'static str, setting: &'static str, value: String) {
        self.short.push((flag, setting, value));
    }

    /// Reads every source and checks the whole.
    pub(crate) fn load(&self) -> Result<(Config, Sources)> {
        self.load_from(std::env::vars_os())
    }

    /// [`load`](Self::load) with these environment variables.
    pub(crate) fn load_from(
        &self,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(Config, Sources)> {
        let mut sources = Sources::defaults();
        match &self.config {
            Some(path) => file::read(path, &mut sources)?,
            None if PathBuf::from(file::DEFAULT_NAME).is_file() => {
                file::read(&PathBuf::from(file::DEFAULT_NAME), &mut sources)?;
            }
            None => {}
        }
        sources.take_environment(environment)?;
        if let Some(path) = &self.data {
            sources.take_flag("--data", "data.path", path.to_string_lossy().into_owned())?;
        }
        for (flag, setting, value) in &self.short {
            sources.take_flag(flag, setting, value.clone())?;
        }
        for set in &self.set {
            let (name, value) = set.split_once('=').ok_or_else(|| {
                Error::Usage(format!(
                    "--set {set}: write it as SECTION.NAME=VALUE, such as --set edge.node=3"
                ))
            })?;
            sources.take_flag("--set", name.trim(), value.trim().to_owned())?;
        }
        let config = Config::build(&sources)?;
        check::check(&config, &sources)?;
        Ok((config, sources))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn args(sets: &[&str]) -> SettingArgs {
        SettingArgs { set: sets.iter().map(ToString::to_string).collect(), ..SettingArgs::default() }
    }

    fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into()))
    }

    fn refused(args: &SettingArgs, environment: &[(&str, &str)]) -> String {
        match args.load_from(variables(environment)) {
            Ok(_) => panic!("accepted"),
            Err(error) => error.to_string(),
        }
    }

    fn with_file(folder: &Path, text: &str) -> SettingArgs {
        let path = folder.join("flagmeter.toml");
        std::fs::write(&path, text).unwrap();
        SettingArgs { config: Some(path), ..SettingArgs::default() }
    }

    #[test]
    fn the_defaults_stand_every_check() {
        args(&[]).load_from(std::iter::empty()).unwrap();
    }

    #[test]
    fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = with_file(folder.path(), "[edge]\nnode = 1\n");
        let node = |args: &SettingArgs, vars: &[(&str, &str)]| {
            args.load_from(variables(vars)).unwrap().0.edge.node.get()
        };
        assert_eq!(node(&SettingArgs::default(), &[]), 0);
        assert_eq!(node(&args, &[]), 1);
        assert_eq!(node(&args, &[("FLAGMETER_EDGE_NODE", "2")]), 2);
        args.set = vec!["edge.node=3".into()];
        assert_eq!(node(&args, &[("FLAGMETER_EDGE_NODE", "2")]), 3);
    }

    #[test]
    fn a_wrong_value_is_told_with_its_setting_its_place_and_the_fix() {
        let folder = tempfile::tempdir().unwrap();
        let args = with_file(folder.path(), "[listen]\n\nhttp = \"8080\"\n");
        let sentence = refused(&args, &[]);
        assert!(sentence.starts_with("listen.http is \"8080\" ("), "{sentence}");
        assert!(sentence.contains("flagmeter.toml line 3"), "{sentence}");
        assert!(sentence.contains("127.0.0.1:8080"), "{sentence}");
    }

    #[test]
    fn an_unknown_setting_is_told_with_the_nearest_known_one() {
        let folder = tempfile::tempdir().unwrap();
        let sentence = refused(&with_file(folder.path(), "[listen]\nhtpp = \"x\"\n"), &[]);
        assert!(
            sentence.contains("listen.htpp") && sentence.contains("did you mean listen.http?"),
            "{sentence}"
        );
        let sentence = refused(&args(&[]), &[("FLAGMETER_EDGE_NOED", "1")]);
        assert!(sentence.contains("did you mean FLAGMETER_EDGE_NODE?"), "{sentence}");
        let sentence = refused(&args(&[]), &[("FLAGMETER_RETENTON_RAW", "1d")]);
        assert!(sentence.contains("did you mean FLAGMETER_RETENTION_RAW?"), "{sentence}");
        let sentence = refused(&args(&[]), &[("FLAGMETER_LISTEN_PORT", "9000")]);
        assert!(sentence.contains("FLAGMETER_LISTEN_PORT"), "{sentence}");
        let sentence = refused(&args(&["retentoin.raw=1d"]), &[]);
        assert!(sentence.contains("did you mean retention.raw?"), "{sentence}");
    }

    #[test]
    fn variables_of_commands_of_the_build_of_tests_and_of_kubernetes_are_no_settings() {
        let others = [
            ("FLAGMETER_URL", "http://127.0.0.1:8080"),
            ("FLAGMETER_UI", "plain"),
            ("FLAGMETER_KILL_ROUNDS", "3"),
            ("FLAGMETER_SERVICES", "/tmp/services"),
            ("FLAGMETER_SERVICES_ENGINE", "native"),
            // What Kubernetes sets in every pod beside services of these names.
            ("FLAGMETER_SERVICE_HOST", "10.0.0.1"),
            ("FLAGMETER_SERVICE_PORT", "8080"),
            ("FLAGMETER_EDGE_SERVICE_PORT_HTTP", "8080"),
            ("FLAGMETER_EDGE_PORT", "tcp://10.0.0.1:8080"),
            ("FLAGMETER_EDGE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("FLAGMETER_EDGE_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("SOMETHING_ELSE", "1"),
        ];
        args(&[]).load_from(variables(&others)).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_refused_if_it_is_a_setting_and_else_nobodys_business() {
        use std::os::unix::ffi::OsStringExt as _;
        let no_text = || OsString::from_vec(vec![0xff, 0xfe]);
        args(&[])
            .load_from([("LC_FAVOURITE".into(), no_text()), (no_text(), "x".into())].into_iter())
            .unwrap();
        let ours = [("FLAGMETER_DATA_PATH".into(), no_text())];
        let sentence = args(&[]).load_from(ours.into_iter()).unwrap_err().to_string();
        assert!(sentence.contains("FLAGMETER_DATA_PATH"), "{sentence}");
    }

    #[test]
    fn a_file_that_is_not_toml_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let sentence = refused(&with_file(folder.path(), "[edge]\nnode = 1\nnode = = 2\n"), &[]);
        assert!(sentence.contains("line 3") && !sentence.contains('\n'), "{sentence}");
    }

    #[test]
    fn settings_that_contradict_each_other_are_told_with_both_names() {
        let sentence = refused(&args(&["edge.accepted_lateness=8d"]), &[]);
        assert!(
            sentence.contains("edge.accepted_lateness") && sentence.contains("retention.raw"),
            "{sentence}"
        );
        let sentence = refused(&args(&["retention.minute=1d"]), &[]);
        assert!(sentence.contains("retention.minute") && sentence.contains("retention.raw"), "{sentence}");
        let sentence = refused(&args(&["listen.metrics=127.0.0.1:8080"]), &[]);
        assert!(sentence.contains("listen.metrics") && sentence.contains("listen.http"), "{sentence}");
        for (set, says) in [
            ("edge.bodies_bytes_max=1KiB", "no room for one body"),
            ("edge.journal_bytes_max=1KiB", "too small to run with"),
            ("edge.body_decompressed_bytes_max=1KiB", "before it is decompressed"),
        ] {
            let (setting, _) = set.split_once('=').unwrap();
            let sentence = refused(&args(&[set]), &[]);
            assert!(sentence.starts_with(&format!("{setting} is \"1KiB\" (--set): ")), "{sentence}");
            assert!(sentence.contains(says), "{sentence}");
        }
        let sentence = refused(&args(&["listen.connections_max=1000"]), &[]);
        let tells = sentence.contains("listen.connections_max") && sentence.contains("set it to 900 or less");
        assert!(sentence.starts_with("queries.live_viewers_max is \"5000\"") && tells, "{sentence}");
        let mut cases = vec![
            ("queries.live_rows_held_max=9", "queries.live_rows_max is \"10000\" (default): an answer of"),
            ("influx.prefix=a b", "letters, digits"),
            ("influx.ca_file=ca.pem", "begin influx.url with https://"),
        ];
        if cfg!(feature = "kafka") {
            cases.extend([
                ("kafka.partitions=2000", "kafka.partitions is \"2000\" (--set): 2000 is out of range"),
                ("kafka.prefetch_bytes_max=1MiB", "kafka.prefetch_bytes_max is \"1MiB\" (--set): "),
                ("kafka.properties=acks=1", "kafka.properties.acks: it cannot be set"),
            ]);
        }
        for (set, says) in cases {
            let sentence = refused(&args(&[set]), &[]);
            assert!(sentence.contains(says), "{sentence}");
        }
        let tokens = [("FLAGMETER_INFLUX_TOKEN", "hush"), ("FLAGMETER_INFLUX_TOKEN_FILE", "/run/token")];
        let sentence = refused(&args(&[]), &tokens);
        assert!(sentence.contains("influx.token_file") && !sentence.contains("hush"), "{sentence}");
        let sentence = refused(&args(&[]), &[("FLAGMETER_KAFKA_PROPERTIES", "sasl.password:hush")]);
        assert!(sentence.contains("kafka.properties") && !sentence.contains("hush"), "{sentence}");
        let sentence = refused(&args(&["edge.node=1024"]), &[]);
        assert!(sentence.contains("edge.node") && sentence.contains("1023"), "{sentence}");
    }
}
