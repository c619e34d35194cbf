//! What customers may use, as the registry says it now.

use std::sync::Arc;

use flagmeter_downsampler::{Allowance, Allowances};
use flagmeter_model::{Registry, Timestamp};
use flagmeter_queries::Calendar;
use tokio::sync::watch;

/// Tells the allowances of the registry in use, whenever it is asked.
pub(crate) fn allowances(registry: watch::Receiver<Arc<Registry>>) -> Box<Allowances> {
    Box::new(move |at| of(&registry.borrow(), at))
}

fn of(registry: &Registry, at: Timestamp) -> Vec<Allowance> {
    let allowance = |customer: &flagmeter_model::Customer| {
        let plan = customer.plan.clone()?;
        let period = Calendar::of(Some(customer)).period(at);
        Some(Allowance { customer: customer.id.clone(), period, plan })
    };
    registry.customers().iter().filter_map(allowance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_plan_has_an_allowance_for_its_period() {
        let text = "[[customer]]\nid = \"a\"\n[[customer]]\nid = \"b\"\n[customer.plan]\nbilling_day = 15\n";
        let (_, registry) = watch::channel(Arc::new(Registry::parse(text).unwrap()));
        let found = allowances(registry)(Timestamp::parse_rfc3339("2026-11-20T12:00:00Z").unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].customer, found[0].plan.billing_day), ("b", 15));
        let period = [found[0].period.from, found[0].period.to].map(|at| at.to_string());
        assert_eq!(period, ["2026-11-15T00:00:00Z", "2026-12-15T00:00:00Z"]);
    }
}
