//! A month of hours of many customers, exported as CSV through the router.

fn main() {}
