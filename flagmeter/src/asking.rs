//! What commands have in common that ask a running server: where it is, with which token, and what it says is wrong.

use std::{env, fs, path::PathBuf};

use serde::Deserialize;

use crate::{
    Error, Result,
    http::{Answer, Url},
};

/// Where, and who asks.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServerArgs {
    /// Which server
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "FLAGMETER_URL")]
    pub(crate) url: Url,
    // It is not taken from the command line, which everyone on the machine can read.
    #[arg(long, value_name = "FILE", help = "A file that holds the token [default: FLAGMETER_TOKEN]")]
    token_file: Option<PathBuf>,
}

impl ServerArgs {
    /// From the file, else from the environment.
    pub(crate) fn token(&self) -> Result<String> {
        self.token_or(env::var("FLAGMETER_TOKEN").ok())
    }

    /// From the file, else from the variable.
    fn token_or(&self, variable: Option<String>) -> Result<String> {
        let token = match &self.token_file {
            Some(path) => {
                fs::read_to_string(path).map_err(|reason| Error::File { path: path.clone(), reason })?
            }
            None => variable.unwrap_or_default(),
        };
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let place = self
                .token_file
                .as_ref()
                .map_or_else(|| "FLAGMETER_TOKEN".into(), |path| path.display().to_string());
            return Err(Error::Usage(format!(
                "{place} holds no token: `flagmeter token create operator` (or customer) makes one; set \
                 FLAGMETER_TOKEN to it, or name a file that holds it with --token-file"
            )));
        }
        Ok(token.to_owned())
    }
}

/// A problem, as the API tells of it.
#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
}

/// What an answer says is wrong.
pub(crate) fn said(answer: &Answer) -> String {
    let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
    problem.map_or_else(|| format!("the server answered {}", answer.status), |problem| problem.detail)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        server: ServerArgs,
    }

    fn parse(args: &[&str]) -> ServerArgs {
        Command::try_parse_from(["top"].iter().chain(args)).unwrap().server
    }

    #[test]
    fn the_token_comes_from_a_file_or_a_variable_and_never_from_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "fm_a_b\n").unwrap();
        let with_file = parse(&["--token-file", path.to_str().unwrap()]);
        assert_eq!(with_file.token_or(Some("fm_c_d".into())).unwrap(), "fm_a_b");
        assert_eq!(parse(&[]).token_or(Some("fm_c_d".into())).unwrap(), "fm_c_d");
        for nothing in [None, Some(String::new()), Some("fm_ü".into()), Some("a b".into())] {
            assert!(matches!(parse(&[]).token_or(nothing), Err(Error::Usage(_))));
        }
        fs::write(&path, "\n").unwrap();
        let refused = with_file.token_or(None).unwrap_err().to_string();
        assert!(refused.contains("holds no token") && refused.contains("--token-file"), "{refused}");
        assert!(Command::try_parse_from(["top", "--token", "fm_a_b"]).is_err());
    }
}
