//! What an account used in its current cycle, from cycle to cycle.

use super::*;

fn used_and_end(books: &Books) -> (i64, Option<DateTime<Utc>>) {
    let usage = books.usage_now();
    (usage.used, usage.cycle.map(|cycle| cycle.ends_at))
}

#[test]
fn without_a_cycle_everything_counts() {
    let mut books = Books::new(jan(1));
    books.grant(credits(Class::Plan, 100));
    let spend = books.spend(30);
    books.now = jan(300);
    books.spend(5);
    assert_eq!(used_and_end(&books), (35, None));
    books.refund(&spend, 10);
    assert_eq!(used_and_end(&books), (25, None));
}

#[test]
fn a_first_cycle_starts_from_nothing() {
    let mut books = Books::new(jan(1));
    books.grant(credits(Class::Balance, 100));
    books.spend(30);
    books.now = jan(5);
    books.grant(allocation(50, jan(5), jan(36)));
    assert_eq!(used_and_end(&books), (0, Some(jan(36))));
    books.spend(60);
    assert_eq!(used_and_end(&books), (60, Some(jan(36))), "whatever class paid");
}

#[test]
fn a_renewal_starts_from_nothing_at_the_very_instant() {
    let mut books = Books::new(jan(1));
    books.grant(allocation(50, jan(1), jan(32)));
    books.grant(allocation(50, jan(32), jan(60)));
    books.spend(20);
    books.now = jan(32) - TICK;
    assert_eq!(used_and_end(&books), (20, Some(jan(32))));
    assert_eq!(books.balance().available, 30);
    books.now = jan(32);
    assert_eq!(used_and_end(&books), (0, Some(jan(60))));
    assert_eq!(books.balance().available, 50);
    books.spend(7);
    assert_eq!(used_and_end(&books), (7, Some(jan(60))));
}

#[test]
fn a_cycle_outlives_its_allowance() {
    let mut books = Books::new(jan(1));
    books.grant(allocation(50, jan(1), jan(32)));
    books.grant(credits(Class::Balance, 100));
    books.spend(50);
    books.now = jan(20);
    books.spend(10);
    assert_eq!(used_and_end(&books), (60, Some(jan(32))));
}

#[test]
fn after_the_last_cycle_it_counts_from_its_end() {
    let mut books = Books::new(jan(1));
    books.grant(allocation(50, jan(1), jan(32)));
    books.grant(credits(Class::Balance, 100));
    books.spend(60);
    books.now = jan(32);
    assert_eq!(used_and_end(&books), (0, None));
    books.spend(5);
    books.now = jan(90);
    books.spend(6);
    assert_eq!(used_and_end(&books), (11, None));
}

#[test]
fn a_refund_of_an_earlier_cycles_spend_gives_nothing_back_to_this_one() {
    let mut books = Books::new(jan(1));
    books.grant(allocation(50, jan(1), jan(32)));
    books.grant(allocation(50, jan(32), jan(60)));
    let earlier = books.spend(20);
    books.now = jan(40);
    let now = books.spend(8);
    books.refund(&earlier, 20);
    assert_eq!(used_and_end(&books), (8, Some(jan(60))));
    books.refund(&now, 3);
    assert_eq!(used_and_end(&books), (5, Some(jan(60))));
}

#[test]
fn a_refund_of_the_ended_cycles_spend_gives_nothing_back_to_the_time_after() {
    let mut books = Books::new(jan(1));
    books.grant(allocation(50, jan(1), jan(32)));
    books.grant(credits(Class::Balance, 100));
    let earlier = books.spend(20);
    books.now = jan(40);
    let since = books.spend(30);
    books.refund(&earlier, 20);
    assert_eq!(used_and_end(&books), (30, None));
    books.refund(&since, 10);
    assert_eq!(used_and_end(&books), (20, None));
}

#[test]
fn a_renewal_noticed_late_is_dated_right_and_keeps_what_was_spent_since() {
    let mut books = Books::new(jan(1));
    books.grant(allocation(50, jan(1), jan(32)));
    books.grant(credits(Class::Balance, 100));
    books.spend(20);
    books.now = jan(33);
    books.spend(4);
    books.grant(allocation(50, jan(32), jan(60)));
    assert_eq!(used_and_end(&books), (4, Some(jan(60))));
}

#[test]
fn a_shorter_cycle_that_ends_gives_way_to_the_older_one_that_runs_on() {
    let mut books = Books::new(jan(1));
    books.grant(allocation(50, jan(1), jan(300)));
    books.spend(9);
    books.now = jan(5);
    books.grant(allocation(50, jan(5), jan(36)));
    assert_eq!(used_and_end(&books), (0, Some(jan(36))));
    books.spend(3);
    books.now = jan(36);
    assert_eq!(used_and_end(&books), (0, Some(jan(300))));
    books.spend(4);
    assert_eq!(used_and_end(&books), (4, Some(jan(300))));
    // And the shorter one's renewal takes over again.
    books.grant(allocation(50, jan(36), jan(67)));
    assert_eq!(used_and_end(&books), (0, Some(jan(67))));
}

#[test]
fn of_two_that_begin_together_the_longer_is_the_cycle() {
    for lengths in [[31, 365], [365, 31]] {
        let mut books = Books::new(jan(1));
        books.grant(allocation(50, jan(1), jan(1 + lengths[0])));
        books.spend(2);
        books.grant(allocation(50, jan(1), jan(1 + lengths[1])));
        assert_eq!(used_and_end(&books), (2, Some(jan(366))), "{lengths:?}");
        books.now = jan(40);
        books.spend(3);
        assert_eq!(used_and_end(&books), (5, Some(jan(366))), "{lengths:?}");
    }
}

#[test]
fn only_plan_allocations_that_end_make_cycles() {
    let mut books = Books::new(jan(1));
    books.grant(GrantCredits {
        expires_at: Some(jan(32)),
        ..credits(Class::Plan, 10)
    });
    books.grant(GrantCredits {
        class: Class::Addon,
        ..allocation(10, jan(1), jan(32))
    });
    books.grant(GrantCredits {
        expires_at: None,
        ..allocation(10, jan(1), jan(32))
    });
    books.spend(1);
    assert_eq!(used_and_end(&books), (1, None));
}
