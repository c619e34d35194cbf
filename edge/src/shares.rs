//! Room that customers share, so that none of them fills it alone.
//!
//! Each may hold as much as is left free: dynamic thresholds with α = 1 (Choudhury and Hahne, "Dynamic queue length
//! thresholds for shared-memory packet switches", 1998). Where one customer alone asks for more and more it gets half of
//! the room, two get a third each, and of n there is always one part in n + 1 for whoever comes next. A fixed share would be
//! too small for one that is alone, or too large for many.

use flagmeter_model::Name;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Room, in whatever it is counted in.
#[derive(Debug)]
pub(crate) struct Shares {
    max: usize,
    used: usize,
    /// What each holds; `None` is all that belongs to no customer in particular.
    held: HashMap<Option<Name>, usize, RandomState>,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// All of it is taken.
    AtAll,
    /// This customer holds as much as is left.
    ForThisOne,
}

impl Shares {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, used: 0, held: HashMap::default() }
    }

    /// Whether `customer` may hold so much more. Room that nobody uses takes anything, or what is larger than the room could
    /// never pass; and a customer that holds nothing may have all that is left.
    pub(crate) fn check(&self, customer: Option<&Name>, amount: usize) -> Result<(), NoRoom> {
        if self.used == 0 {
            return Ok(());
        }
        let free = self.max.saturating_sub(self.used);
        if amount > free {
            return Err(NoRoom::AtAll);
        }
        match self.held.get(&customer.cloned()) {
            Some(&held) if held.saturating_add(amount) > free => Err(NoRoom::ForThisOne),
            _ => Ok(()),
        }
    }

    /// It holds so much more, whether there is room or not.
    pub(crate) fn take(&mut self, customer: Option<&Name>, amount: usize) {
        self.used = self.used.saturating_add(amount);
        let held = self.held.entry(customer.cloned()).or_insert(0);
        *held = held.saturating_add(amount);
    }

    /// It holds so much less.
    pub(crate) fn give_back(&mut self, customer: Option<&Name>, amount: usize) {
        self.used = self.used.saturating_sub(amount);
        let customer = customer.cloned();
        if let Some(held) = self.held.get_mut(&customer) {
            *held = held.saturating_sub(amount);
            if *held == 0 {
                self.held.remove(&customer);
            }
        }
    }

    /// Nobody holds anything.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// Takes one by one until it is told to stop.
    fn fill(shares: &mut Shares, customer: Option<&Name>) -> (usize, NoRoom) {
        for taken in 0.. {
            match shares.check(customer, 1) {
                Ok(()) => shares.take(customer, 1),
                Err(why) => return (taken, why),
            }
        }
        unreachable!()
    }

    #[test]
    fn one_alone_gets_half_and_those_who_come_later_find_room() {
        let mut shares = Shares::new(1_000);
        let [loud, quiet, third] = ["loud", "quiet", "third"].map(name);
        assert_eq!(fill(&mut shares, Some(&loud)), (500, NoRoom::ForThisOne));
        assert_eq!(fill(&mut shares, Some(&quiet)), (250, NoRoom::ForThisOne));
        assert_eq!(fill(&mut shares, Some(&third)), (125, NoRoom::ForThisOne));
        assert_eq!(fill(&mut shares, None), (63, NoRoom::ForThisOne));
        shares.give_back(Some(&loud), 500);
        assert_eq!(shares.check(Some(&quiet), 300), Ok(()), "what goes is there for others");
        shares.clear();
        assert_eq!(fill(&mut shares, Some(&quiet)), (500, NoRoom::ForThisOne));
    }

    #[test]
    fn an_empty_room_takes_what_is_larger_and_then_nothing_more() {
        let mut shares = Shares::new(10);
        let [one, two] = ["one", "two"].map(name);
        assert_eq!(shares.check(Some(&one), 25), Ok(()));
        shares.take(Some(&one), 25);
        assert_eq!(shares.check(Some(&two), 1), Err(NoRoom::AtAll));
        shares.give_back(Some(&one), 25);
        shares.take(Some(&one), 4);
        assert_eq!(shares.check(Some(&two), 6), Ok(()), "all that is left, for one that holds nothing");
        assert_eq!(shares.check(Some(&two), 7), Err(NoRoom::AtAll));
        assert_eq!(shares.check(Some(&one), 3), Err(NoRoom::ForThisOne));
    }

    proptest! {
        /// Whatever comes and goes: what is held adds up, stays within the room, and leaves one that holds nothing some.
        #[test]
        fn what_is_held_adds_up(steps in proptest::collection::vec((0_u8..4, 1_usize..40, any::<bool>()), 1..200)) {
            let mut shares = Shares::new(100);
            let mut held = [0_usize; 4];
            let names = ["a", "b", "c", "d"].map(name);
            for (who, amount, takes) in steps {
                let (customer, mine) = (Some(&names[usize::from(who)]), usize::from(who));
                if takes {
                    if shares.check(customer, amount).is_ok() {
                        shares.take(customer, amount);
                        held[mine] += amount;
                    }
                } else {
                    let amount = amount.min(held[mine]);
                    shares.give_back(customer, amount);
                    held[mine] -= amount;
                }
                prop_assert_eq!(shares.used, held.iter().sum::<usize>());
                prop_assert!(shares.used <= 100);
                prop_assert_eq!(shares.held.len(), held.iter().filter(|&&amount| amount > 0).count());
                let newcomer = name("newcomer");
                prop_assert_eq!(shares.check(Some(&newcomer), 1).is_ok(), shares.used < 100);
            }
        }
    }
}
