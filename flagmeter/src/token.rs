//! `flagmeter token`: make, list and revoke API tokens.
//!
//! The file is appended to under a lock, and a running server sees the change within a second.

use std::{env, path::Path, sync::Arc, time::Duration};

use flagmeter_model::{Clock, Name, SystemClock};
use flagmeter_queries::access::{NewToken, Role, Tokens};

use crate::{
    Error, Result,
    config::{SettingArgs, millis, parse_duration},
    output,
    process::folder::{must_be_prepared, tokens_file},
};

/// What a token may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RoleName {
    /// One customer's data, named by --customer.
    Customer,
    /// All customers' data.
    Billing,
    /// All customers' data, and what operators need besides.
    Operator,
}

/// What `flagmeter token` is asked for.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and show it, once
    #[command(after_help = "\
Examples:
  flagmeter token create operator --note 'on call'
  flagmeter token create customer --customer acme --expires 90d")]
    Create {
        /// What it may read
        #[arg(value_enum)]
        role: RoleName,
        /// The customer whose data it may read
        #[arg(long, required_if_eq("role", "customer"))]
        customer: Option<String>,
        /// For whom or for what it is
        #[arg(long)]
        note: Option<String>,
        /// Refuse it after this time, such as 90d [default: never]
        #[arg(long, value_parser = parse_duration)]
        expires: Option<Duration>,
        #[command(flatten)]
        settings: SettingArgs,
    },
    /// List all tokens that ever were, without their secrets
    #[command(after_help = "Examples:\n  flagmeter token list --data /var/lib/flagmeter")]
    List(SettingArgs),
    /// Revoke a token for ever
    #[command(after_help = "Examples:\n  flagmeter token revoke 0123456789ab")]
    Revoke {
        /// Its id, as `list` shows it
        id: String,
        #[command(flatten)]
        settings: SettingArgs,
    },
}

/// Does it.
pub(crate) fn run(command: TokenCommand) -> Result<()> {
    match command {
        TokenCommand::Create { role, customer, note, expires, settings } => {
            let now = SystemClock.now();
            let expires_at = expires.map(|time| now.plus_millis(millis(time)));
            let new = NewToken { role: role_of(role, customer.as_deref())?, note, expires_at };
            let created = open(&settings)?.create(new, &who())?;
            output::note(format!("token {}: this is the only time that it is shown", created.id));
            output::say(created.text);
            Ok(())
        }
        TokenCommand::List(settings) => {
            let (tokens, now) = (open(&settings)?.list(), SystemClock.now());
            output::say(format!(
                "{:12}  {:8}  {:20}  {:8}  {:20}  note",
                "id", "role", "made", "state", "customer"
            ));
            for token in tokens {
                let customer = if let Role::Customer(name) = &token.role { name.as_str() } else { "-" };
                let state = match (token.revoked_at, token.is_expired(now)) {
                    (Some(_), _) => "revoked",
                    (None, true) => "expired",
                    (None, false) => "active",
                };
                output::say(format!(
                    "{:12}  {:8}  {:20}  {state:8}  {customer:20}  {}",
                    token.id,
                    token.role.name(),
                    token.created_at.floor_to(1).to_string(),
                    token.note.as_deref().unwrap_or("-"),
                ));
            }
            Ok(())
        }
        TokenCommand::Revoke { id, settings } => {
            open(&settings)?.revoke(&id, &who())?;
            output::say(format!("token {id} is revoked; a running server refuses it within a second"));
            Ok(())
        }
    }
}

fn open(settings: &SettingArgs) -> Result<Tokens> {
    let (config, _) = settings.load()?;
    must_be_prepared(&config.data.path)?;
    open_at(&config.data.path, Arc::new(SystemClock))
}

/// The tokens of a data folder.
pub(crate) fn open_at(data: &Path, clock: Arc<dyn Clock>) -> Result<Tokens> {
    Ok(Tokens::open(tokens_file(data), clock)?)
}

fn role_of(role: RoleName, customer: Option<&str>) -> Result<Role> {
    match (role, customer) {
        (RoleName::Customer, Some(id)) => {
            let name = Name::new(id).map_err(|error| Error::Usage(format!("--customer {id:?}: {error}")))?;
            Ok(Role::Customer(name))
        }
        (RoleName::Customer, None) => Err(Error::Usage("a customer's token needs --customer".into())),
        (_, Some(_)) => Err(Error::Usage("--customer goes with the role customer only".into())),
        (RoleName::Billing, None) => Ok(Role::Billing),
        (RoleName::Operator, None) => Ok(Role::Operator),
    }
}

/// Who makes the change, for the audit log of tokens.
fn who() -> String {
    let user = env::var("USER").or_else(|_| env::var("LOGNAME")).unwrap_or_default();
    let user: String = user.chars().filter(|letter| !letter.is_control()).take(60).collect();
    if user.is_empty() { "command line".into() } else { format!("{user} at the command line") }
}
