//! The operations that rules may have.

macro_rules! operators {
    ($( $name:ident = $($text:literal)|+, )+) => {
        /// One of `JsonLogic`'s operations, or of flagd's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Operator { $($name,)+ }

        impl Operator {
            pub(super) fn named(text: &str) -> Option<Self> {
                match text {
                    $($($text)|+ => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// Each with one of its names.
            #[cfg(test)]
            pub(super) const ALL: &[&str] = &[$($($text,)+)+];
        }
    };
}

operators! {
    Var = "var",
    Missing = "missing",
    MissingSome = "missing_some",
    If = "if" | "?:",
    And = "and",
    Or = "or",
    Not = "!",
    Truth = "!!",
    Equal = "==",
    NotEqual = "!=",
    Same = "===",
    NotSame = "!==",
    Less = "<",
    LessOrEqual = "<=",
    Greater = ">",
    GreaterOrEqual = ">=",
    Max = "max",
    Min = "min",
    Add = "+",
    Subtract = "-",
    Multiply = "*",
    Divide = "/",
    Remainder = "%",
    In = "in",
    Cat = "cat",
    Substr = "substr",
    Merge = "merge",
    Map = "map",
    Filter = "filter",
    Reduce = "reduce",
    All = "all",
    Some = "some",
    None = "none",
    Fractional = "fractional",
    SemVer = "sem_ver",
    StartsWith = "starts_with",
    EndsWith = "ends_with",
}
