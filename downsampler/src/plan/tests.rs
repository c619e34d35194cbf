//! Each rule of the design by example.
