//! Caps, counted anew each time from the list of all uses.

use scrip::domain::program::Window;
use serde_json::{Value, json};

use super::{
    account::{Account, Counted, Override, Refusal, Subscription, refuse},
    calendar::{self, At},
    charge::Due,
    terms::{Cap, CapKind},
};

impl Account {
    /// The caps that hold for the account now, in the order in which they are looked at.
    pub fn caps(&self) -> Vec<Cap> {
        let terms = self.terms();
        let live: Vec<&Subscription> = self.subscriptions.iter().filter(|s| s.is_live(self.now)).collect();
        let of_kind = |caps: &[Cap], kind: &CapKind| caps.iter().find(|cap| cap.kind == *kind).cloned();
        let mut kinds: Vec<CapKind> = Vec::new();
        for cap in terms.caps.iter().chain(live.iter().flat_map(|s| &s.terms.caps)) {
            if !kinds.contains(&cap.kind) {
                kinds.push(cap.kind.clone());
            }
        }
        let own: Vec<&Override> = self
            .overrides
            .iter()
            .filter(|o| o.until.is_none_or(|end| self.now < end))
            .collect();
        let mut caps = Vec::new();
        let mut replaced = Vec::new();
        for kind in &kinds {
            let of_program = of_kind(&terms.caps, kind);
            // Each live plan's own cap, or the program's; a plan with neither lifts it altogether.
            let of_plans: Option<Vec<Cap>> = live
                .iter()
                .map(|s| of_kind(&s.terms.caps, kind).or_else(|| of_program.clone()))
                .collect();
            let mut candidates = of_plans.unwrap_or_default();
            if live.is_empty() {
                candidates.extend(of_program);
            }
            let most = candidates.iter().map(|cap| cap.limit).max();
            let in_force = candidates.into_iter().find(|cap| Some(cap.limit) == most);
            if own.iter().any(|o| o.kind == *kind) {
                replaced.extend(in_force);
            } else {
                caps.extend(in_force);
            }
        }
        caps.extend(own.iter().filter_map(|o| {
            let inherited = of_kind(&replaced, &o.kind).is_some_and(|cap| cap.allows_in_empty_window);
            Some(Cap {
                kind: o.kind.clone(),
                limit: o.limit?,
                allows_in_empty_window: o.allows_in_empty_window.unwrap_or(inherited),
            })
        }));
        let windows = [Window::Day, Window::Week, Window::Month, Window::Cycle];
        let rank = |window: Window| windows.iter().position(|w| *w == window);
        caps.sort_by_key(|cap| (rank(cap.kind.window), cap.kind.by_member));
        caps
    }

    /// The window that a cap is in now.
    fn window(&self, window: Window) -> (At, At) {
        let zone = self.terms().zone.parse().expect("a zone");
        match (window, self.billing_cycle()) {
            (Window::Cycle, Some(cycle)) => cycle,
            (Window::Cycle, None) => calendar::window(Window::Month, zone, self.now),
            _ => calendar::window(window, zone, self.now),
        }
    }

    /// What was used in a window since the first use that the cap was in force for.
    fn used_of(&self, counted: &Counted, window: (At, At)) -> i64 {
        let is_first = |caps: &[(Counted, (At, At))]| caps.iter().any(|cap| *cap == (counted.clone(), window));
        let Some(first) = self.uses.iter().position(|u| is_first(&u.caps)) else {
            return 0;
        };
        let mut sum = 0;
        for one in &self.uses[first..] {
            let is_within = window.0 <= one.at && one.at < window.1;
            let is_theirs = counted.member.is_none() || counted.member == one.member;
            if is_within && is_theirs && counted.kind.counts(one.operation) {
                sum += one.amount - one.back;
            }
        }
        sum
    }

    /// The caps that count, with what is used of each and its window. A cap on members counts none where none is named.
    fn standings_of(&self, member: Option<&'static str>) -> Vec<(Cap, Counted, i64, (At, At))> {
        let mut standings = Vec::new();
        for cap in self.caps() {
            if cap.kind.by_member && member.is_none() {
                continue;
            }
            let counted = Counted {
                member: member.filter(|_| cap.kind.by_member),
                kind: cap.kind.clone(),
            };
            let window = self.window(cap.kind.window);
            let used = self.used_of(&counted, window);
            standings.push((cap, counted, used, window));
        }
        standings
    }

    /// Where the caps stand: window, limit, used, resets_at, member, operations.
    pub fn cap_standings(&self, member: Option<&'static str>) -> Vec<Value> {
        let shown = |(cap, counted, used, window): (Cap, Counted, i64, (At, At))| {
            json!([
                cap.kind.window,
                cap.limit,
                used,
                window.1,
                counted.member,
                cap.kind.operations
            ])
        };
        self.standings_of(member).into_iter().map(shown).collect()
    }

    /// As [`Account::cap_standings`], of those that count an operation.
    pub fn cap_standings_for(&self, operation: Option<&str>, member: Option<&'static str>) -> Vec<Value> {
        let mut shown = self.cap_standings(member);
        let mut standings = self.standings_of(member).into_iter();
        shown.retain(|_| standings.next().is_some_and(|(cap, ..)| cap.kind.counts(operation)));
        shown
    }

    /// The caps that count a use made now, each in its window.
    pub fn counting(&self, operation: Option<&str>, member: Option<&'static str>) -> Vec<(Counted, (At, At))> {
        let standings = self.standings_of(member).into_iter();
        let counting = standings.filter(|(cap, ..)| cap.kind.counts(operation));
        counting.map(|(_, counted, _, window)| (counted, window)).collect()
    }

    /// How much of what is due the caps let through.
    pub fn let_through(&mut self, due: &Due, partial: bool) -> Result<i64, Refusal> {
        let needed = due.amount;
        let is_one = self.is_one(due);
        let mut least = needed;
        for (cap, counted, used, window) in self.standings_of(due.member) {
            if !cap.kind.counts(due.operation) {
                continue;
            }
            let is_dearer = needed > cap.limit;
            let is_allowed = is_dearer && cap.allows_in_empty_window && is_one;
            if is_allowed && used == 0 {
                self.sight("over the whole cap in an empty window");
                continue;
            }
            if is_dearer && cap.allows_in_empty_window && !is_one {
                self.sight("many that are over the whole cap together");
            }
            if is_dearer && !is_allowed && !partial {
                self.sight("exceeds a cap ever");
                let fields = json!({"needed": needed, "limit": cap.limit, "window": cap.kind.window});
                return refuse("exceeds_cap_ever", fields);
            }
            let room = (cap.limit - used).max(0);
            if room == 0 || (room < needed && !partial) {
                self.sight(match (cap.kind.window, cap.kind.by_member) {
                    (Window::Day, false) => "day cap of the account",
                    (Window::Day, true) => "day cap of a member",
                    (Window::Week, false) => "week cap of the account",
                    (Window::Week, true) => "week cap of a member",
                    (Window::Month, false) => "month cap of the account",
                    (Window::Month, true) => "month cap of a member",
                    (Window::Cycle, false) => "cycle cap of the account",
                    (Window::Cycle, true) => "cycle cap of a member",
                });
                let mut fields = json!({
                    "needed": needed, "available": room, "limit": cap.limit, "used": used,
                    "window": cap.kind.window, "resets_at": window.1,
                });
                if let Some(member) = counted.member {
                    fields["member"] = json!(member);
                }
                return refuse("cap_exceeded", fields);
            }
            least = least.min(room);
        }
        Ok(least)
    }
}
