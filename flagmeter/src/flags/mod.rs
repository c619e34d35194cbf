//! Runtime flags: flagmeter's own settings that change while it runs. Where their definition comes from ([`watch`]), how
//! decisions are counted by flagmeter itself ([`exposures`]), and the command that looks at a definition.

mod exposures;
mod watch;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use flagmeter_edge::EncodingOf;
use flagmeter_model::{Clock as _, ContentEncoding, SystemClock, Timestamp};
use flagmeter_rollout::{CATALOGUE, Compression, Context, Definition, Evaluation, OwnFlag, RuntimeFlags};
use serde_json::Value;

pub(crate) use self::{
    exposures::{Exposer, To},
    watch::{FlagWatch, look_once},
};
use crate::{Error, Result, config::Config, output, source};

/// What `flagmeter flags` is asked for.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum FlagsCommand {
    /// List flagmeter's own flags: key, values, safe default, and what each decides
    #[command(after_help = "Examples:\n  flagmeter flags list")]
    List,
    /// Say `ok`, or what is wrong with a definition, and what whoever looks after its flags should know
    ///
    /// The exit status is 1 where the file cannot be used, or one of flagmeter's own flags in it would be an error.
    #[command(after_help = "Examples:\n  flagmeter flags check /etc/flagmeter/flags.json")]
    Check {
        /// The definition, in flagd's format
        file: PathBuf,
    },
    /// Say what a flag is for a customer, and why, in OpenFeature's terms
    #[command(after_help = "\
Examples:
  flagmeter flags evaluate flags.json log-compression --customer acme
  flagmeter flags evaluate flags.json log-sampling --key edge --context process=edge
  flagmeter flags evaluate flags.json log-compression --customer acme --at 2027-01-31T08:00:00Z
The exit status is 1 where the reason is ERROR.")]
    Evaluate {
        /// The definition, in flagd's format
        file: PathBuf,
        /// The flag's key
        flag: String,
        /// The customer: the targeting key, and the attribute `customer`
        #[arg(long, required_unless_present = "key")]
        customer: Option<String>,
        /// A targeting key that is no customer, such as the name of a process
        #[arg(long, conflicts_with = "customer")]
        key: Option<String>,
        /// A further attribute of the context, as JSON or as text; may be repeated
        #[arg(long, value_name = "NAME=VALUE")]
        context: Vec<String>,
        /// The time that the rule sees [default: now]
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        at: Option<Timestamp>,
    },
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).map_err(|_| "write a time such as 2027-01-31T08:00:00Z".to_owned())
}

/// Does it.
pub(crate) fn run(command: FlagsCommand) -> Result<()> {
    match command {
        FlagsCommand::List => {
            output::say(listed().trim_end());
            Ok(())
        }
        FlagsCommand::Check { file } => check(&file),
        FlagsCommand::Evaluate { file, flag, customer, key, context, at } => {
            let definition = read(&file)?;
            let subject = customer.as_deref().map(Context::of_customer);
            let subject = subject.unwrap_or_else(|| Context::of_key(key.as_deref().unwrap_or_default()));
            let context = context.iter().try_fold(subject, |subject, pair| with(subject, pair))?;
            evaluate(&definition, &flag, &context, at.unwrap_or_else(|| SystemClock.now()))
        }
    }
}

fn listed() -> String {
    CATALOGUE.iter().fold(String::new(), |mut text, own| {
        let OwnFlag { key, takes, default, disabled, owner, meaning } = own;
        let takes = takes.described();
        let _infallible = writeln!(
            text,
            "{key}: {meaning}\n  takes {takes}; by default {default}; switched off {disabled}; of {owner}"
        );
        text
    })
}

fn read(file: &Path) -> Result<Definition> {
    let refused = |reason: String| Error::Flags { path: file.to_owned(), reason };
    let text = source::read(file, Definition::BYTES_MAX).map_err(refused)?;
    Definition::parse(&text).map_err(|error| refused(error.to_string()))
}

fn check(file: &Path) -> Result<()> {
    let judged = Judged::of(&read(file)?);
    judged.says.iter().for_each(output::say);
    if judged.wrong > 0 {
        let reason =
            "some of flagmeter's own flags would be errors, and so their safe defaults: see above".into();
        return Err(Error::Flags { path: file.to_owned(), reason });
    }
    output::say(format!("ok: {}", judged.summary));
    Ok(())
}

/// What is to be said of a definition.
#[derive(Debug)]
pub(crate) struct Judged {
    /// What whoever looks after its flags should know.
    pub(crate) says: Vec<String>,
    /// How many of flagmeter's own flags, or their variants, would be errors.
    pub(crate) wrong: usize,
    /// How many flags there are.
    pub(crate) summary: String,
}

impl Judged {
    /// As of today.
    pub(crate) fn of(definition: &Definition) -> Self {
        let today = SystemClock.now().to_chrono().date_naive();
        let (mut says, mut wrong) = (Vec::new(), 0);
        for (key, flag) in definition.flags() {
            let own = CATALOGUE.iter().find(|own| own.key == key);
            for notice in flag.notices(today) {
                says.push(format!("{key}: {notice}"));
                wrong += usize::from(own.is_some() && matches!(notice, flagmeter_rollout::Notice::Broken(_)));
            }
            let misfits =
                own.into_iter().flat_map(|own| flag.variants().filter(|(_, value)| !own.fits(value)));
            for (variant, value) in misfits {
                let takes = own.map(|own| own.takes.described()).unwrap_or_default();
                says.push(format!("{key}: its variant {variant:?} is {value}, and it takes {takes}"));
                wrong += 1;
            }
        }
        let count = definition.flags().count();
        let own = CATALOGUE.iter().filter(|own| definition.flag(own.key).is_some()).count();
        let plural = if count == 1 { "" } else { "s" };
        Self { says, wrong, summary: format!("{count} flag{plural}, {own} of them flagmeter's own") }
    }
}

fn with(subject: Context, pair: &str) -> Result<Context> {
    let (name, value) = pair.split_once('=').ok_or_else(|| {
        Error::Usage(format!("--context {pair}: write it as NAME=VALUE, such as --context region=eu-west"))
    })?;
    let value = serde_json::from_str::<Value>(value).unwrap_or_else(|_| Value::from(value));
    Ok(subject.with(name.trim(), value))
}

fn evaluate(definition: &Definition, key: &str, context: &Context, now: Timestamp) -> Result<()> {
    let own = CATALOGUE.iter().find(|own| own.key == key);
    let evaluation = match own {
        Some(own) => own.evaluate(definition, context, now),
        None => definition.evaluate(key, context, now),
    };
    let Evaluation { value, variant, reason, failure } = evaluation;
    let mut told: BTreeMap<&str, Value> =
        BTreeMap::from([("key", key.into()), ("reason", reason.name().into())]);
    match (value, own) {
        (Some(value), _) => drop(told.insert("value", value)),
        (None, Some(own)) => drop(told.insert("holds", own.fallback(reason).into())),
        (None, None) => {}
    }
    told.extend(variant.map(|variant| ("variant", variant.into())));
    if let Some(failure) = &failure {
        told.insert("errorCode", failure.code.name().into());
        told.insert("errorMessage", failure.message.as_str().into());
    }
    output::say(serde_json::json!(told).to_string());
    match failure {
        Some(failure) => Err(Error::Disagreement(format!("{key}: {failure}"))),
        None => Ok(()),
    }
}

/// How an edge encodes the batches of each customer: as `log-compression` says at that moment.
pub(crate) fn encoding_of(flags: Arc<RuntimeFlags>) -> EncodingOf {
    EncodingOf::new(move |customer| match flags.log_compression(customer) {
        Compression::Off => ContentEncoding::Identity,
        Compression::Gzip => ContentEncoding::Gzip,
        Compression::Zstd => ContentEncoding::Zstd,
    })
}

/// Whether the settings of runtime flags fit each other; else the one to mend, and why.
pub(crate) fn check_settings(config: &Config) -> Result<(), (&'static str, String)> {
    let flags = &config.runtime_flags;
    if !flags.url.is_empty() {
        if !flags.file.as_os_str().is_empty() {
            let why = "runtime_flags.file is set as well: set one of them".to_owned();
            return Err(("runtime_flags.url", why));
        }
        source::address(&flags.url).map_err(|why| ("runtime_flags.url", why))?;
    }
    if !flags.exposures_url.is_empty() {
        flags
            .exposures_url
            .parse::<crate::http::Url>()
            .map_err(|why| ("runtime_flags.exposures_url", why))?;
        if flags.exposures_key.0.is_empty() {
            let why = "it needs the key of an environment: set runtime_flags.exposures_key".to_owned();
            return Err(("runtime_flags.exposures_url", why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SettingArgs;

    #[test]
    fn settings_of_runtime_flags_that_contradict_each_other_are_told() {
        for (sets, says) in [
            (vec!["runtime_flags.url=http://c/f.json", "runtime_flags.file=f.json"], "set one of them"),
            (vec!["runtime_flags.poll_interval=0s"], "write a time such as"),
            (vec!["runtime_flags.url=c/f.json"], "https://config.example.com"),
            (vec!["runtime_flags.exposures_url=http://edge"], "set runtime_flags.exposures_key"),
            (
                vec!["runtime_flags.exposures_url=edge", "runtime_flags.exposures_key=hush"],
                "http://host:port",
            ),
        ] {
            let set = sets.iter().map(ToString::to_string).collect();
            let args = SettingArgs { set, ..SettingArgs::default() };
            let refused = args.load_from(std::iter::empty()).map(drop).unwrap_err().to_string();
            assert!(refused.contains(says) && !refused.contains("hush"), "{refused}");
        }
    }

    #[test]
    fn the_context_is_json_or_text() {
        let named = with(Context::default(), "region=eu-west").unwrap();
        assert_eq!(format!("{named:?}"), format!("{:?}", Context::default().with("region", "eu-west")));
        let typed = with(Context::default(), "node=3").unwrap();
        assert_eq!(format!("{typed:?}"), format!("{:?}", Context::default().with("node", 3)));
        assert!(matches!(with(Context::default(), "node"), Err(Error::Usage(_))));
    }

    #[test]
    fn the_list_names_every_flag_with_its_default() {
        let text = listed();
        for own in CATALOGUE {
            assert!(text.contains(own.key) && text.contains(own.meaning), "{text}");
        }
        assert!(text.contains("takes one of \"off\", \"gzip\", \"zstd\"; by default zstd"), "{text}");
    }
}
