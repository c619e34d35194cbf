//! What an evaluation answers, in OpenFeature's terms.

use std::fmt;

use serde_json::Value;

/// Why this value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The flag has no targeting: its default variant, for everyone.
    Static,
    /// A targeting rule named the variant.
    TargetingMatch,
    /// A targeting rule named the variant, by a share: `fractional` took part. flagd calls this a targeting match.
    Split,
    /// No rule named a variant: the default variant, or the default in the code where there is none.
    Default,
    /// The flag is switched off: the default in the code.
    Disabled,
    /// It could not be evaluated: the default in the code.
    Error,
}

impl Reason {
    /// As OpenFeature writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Split => "SPLIT",
            Self::Default => "DEFAULT",
            Self::Disabled => "DISABLED",
            Self::Error => "ERROR",
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// There is no flag of this key.
    FlagNotFound,
    /// Its targeting rule cannot be read.
    ParseError,
    /// Its value is not of the type that was asked for.
    TypeMismatch,
    /// Anything else: its rule names a variant that it does not have, or takes too many steps.
    General,
}

impl ErrorCode {
    /// As OpenFeature writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FlagNotFound => "FLAG_NOT_FOUND",
            Self::ParseError => "PARSE_ERROR",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::General => "GENERAL",
        }
    }
}

/// An error and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which kind.
    pub code: ErrorCode,
    /// In a sentence.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

/// What a flag is in a context.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The value; `None` means the default in the code.
    pub value: Option<Value>,
    /// The variant that has it; `None` with the value.
    pub variant: Option<String>,
    /// Why.
    pub reason: Reason,
    /// What went wrong, where the reason is [`Reason::Error`].
    pub failure: Option<Failure>,
}

impl Evaluation {
    pub(crate) const fn without_value(reason: Reason) -> Self {
        Self { value: None, variant: None, reason, failure: None }
    }

    pub(crate) const fn failed(failure: Failure) -> Self {
        Self { value: None, variant: None, reason: Reason::Error, failure: Some(failure) }
    }
}
