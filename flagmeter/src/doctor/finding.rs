//! What was found, and how it is told: each line as soon as it is known.

use serde::Serialize;

use crate::{Error, Result, output};

/// How it is with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Nothing is broken, and somebody should know.
    Note,
    /// To be mended: the sentence says how.
    Wrong,
    /// Not looked at: the sentence says what it would take.
    Skipped,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    about: String,
    pub(super) state: State,
    pub(super) says: String,
}

impl Finding {
    fn new(state: State, about: impl Into<String>, says: impl Into<String>) -> Self {
        Self { about: about.into(), state, says: says.into() }
    }

    pub(super) fn ok(about: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(State::Ok, about, says)
    }

    pub(super) fn note(about: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(State::Note, about, says)
    }

    pub(super) fn wrong(about: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(State::Wrong, about, says)
    }

    pub(super) fn skipped(about: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(State::Skipped, about, says)
    }

    fn line(&self) -> String {
        let state = match self.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Wrong => "WRONG",
            State::Skipped => "skipped",
        };
        format!("{state:<8} {:<18} {}", self.about, self.says)
    }
}

/// All that was found.
#[derive(Debug)]
pub(super) struct Report {
    is_json: bool,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) const fn new(is_json: bool) -> Self {
        Self { is_json, findings: Vec::new() }
    }

    /// Takes a finding, and prints it.
    pub(super) fn tell(&mut self, finding: Finding) {
        if !self.is_json {
            output::say(finding.line());
        }
        self.findings.push(finding);
    }

    /// Prints what is printed in the end. How many findings are wrong.
    pub(super) fn end(&self) -> Result<usize> {
        let wrong = self.findings.iter().filter(|finding| finding.state == State::Wrong).count();
        if self.is_json {
            let text = serde_json::to_string_pretty(&self.findings);
            output::say(text.map_err(|error| Error::System(error.into()))?);
        } else if wrong == 0 {
            output::say("nothing is wrong with what was looked at");
        }
        Ok(wrong)
    }

    #[cfg(test)]
    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
