//! A program in plain values: the model reads them, and the document that the rules read is written from them.

use std::collections::BTreeMap;

use scrip::domain::{
    cycle::Interval,
    grant::Class,
    program::{Format, Program, Window, parse},
};
use serde_json::{Value, json};

#[derive(Clone)]
pub struct Terms {
    pub zone: &'static str,
    pub order: [Class; 3],
    pub plans: BTreeMap<&'static str, Plan>,
    pub operations: BTreeMap<&'static str, Operation>,
    pub caps: Vec<Cap>,
    /// What spending a class needs, by class.
    pub needs: [Need; 3],
    /// How long a hold lasts in seconds: one that says nothing, and the longest.
    pub holds: (u32, u32),
    /// How long a quote is honoured, in seconds.
    pub quotes: u32,
    /// By class.
    pub expired: [Policy; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Nothing,
    Subscription,
    PaidSubscription,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Reissue,
    Restore,
    Reject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    Difference,
    Prorated,
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    Never,
    CycleEnd,
    Days(u32),
    Months(u32),
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub paid: bool,
    pub rank: i32,
    /// By month and by year.
    pub allowance: [i64; 2],
    pub billing: Vec<Interval>,
    /// None: with the billing.
    pub refresh: Option<Interval>,
    pub upgrade: Upgrade,
    pub bonus: Option<Bonus>,
    /// The most that goes over, and for how many cycles.
    pub rollover: Option<(i64, u32)>,
    pub addon: Option<Addon>,
    pub caps: Vec<Cap>,
    pub by_stripe: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Bonus {
    pub credits: [i64; 2],
    pub class: Class,
    pub lasts: Lasting,
}

#[derive(Debug, Clone, Copy)]
pub struct Addon {
    pub credits: i64,
    pub price: Option<i64>,
    pub personal: bool,
    pub most: u32,
}

#[derive(Debug, Clone)]
pub struct Operation {
    /// The first one that fits.
    pub prices: Vec<Price>,
    pub paid_by: Option<Vec<Class>>,
}

#[derive(Debug, Clone, Copy)]
pub struct Price {
    /// The only quantity that it is for.
    pub only_for: Option<i64>,
    pub fixed: i64,
    /// So many credits for each so many.
    pub rate: Option<(i64, i64, Rounding)>,
    pub least: Option<i64>,
    pub most: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
pub enum Rounding {
    Up,
    Down,
    Begun,
}

/// Which spends a cap counts together, and over which time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapKind {
    pub window: Window,
    pub by_member: bool,
    pub operations: Option<Vec<&'static str>>,
}

#[derive(Debug, Clone)]
pub struct Cap {
    pub kind: CapKind,
    pub limit: i64,
    pub allows_in_empty_window: bool,
}

pub fn place(interval: Interval) -> usize {
    match interval {
        Interval::Month => 0,
        Interval::Year => 1,
    }
}

pub fn months(interval: Interval) -> u32 {
    [1, 12][place(interval)]
}

impl Plan {
    pub fn refresh_months(&self, billing: Interval) -> u32 {
        months(self.refresh.unwrap_or(billing))
    }

    /// What it grants for a cycle of so many months.
    pub fn allowance_for(&self, billing: Interval, cycle_months: u32) -> i64 {
        self.allowance[place(billing)] * i64::from(cycle_months) / i64::from(self.refresh_months(billing))
    }

    /// What one unit of its add-on grants for a cycle of so many months.
    pub fn unit_for(&self, billing: Interval, cycle_months: u32) -> i64 {
        let credits = self.addon.map_or(0, |addon| addon.credits);
        credits * i64::from(cycle_months) / i64::from(self.refresh_months(billing))
    }

    /// What decides which of two plans is the higher.
    pub fn height(&self, billing: Interval) -> (i32, bool, i64) {
        let yearly = self.allowance[place(billing)] * i64::from(12 / self.refresh_months(billing));
        (self.rank, self.paid, yearly)
    }

    fn document(&self) -> Value {
        let mut plan = json!({
            "paid": self.paid,
            "rank": self.rank,
            "allowance": by_interval(self.allowance),
            "billing": self.billing,
            "renewal": if self.by_stripe { "stripe" } else { "clock" },
            "upgrade": format!("{:?}", self.upgrade).to_lowercase(),
            "caps": self.caps.iter().map(Cap::document).collect::<Vec<_>>(),
        });
        if let Some(refresh) = self.refresh {
            plan["refresh"] = json!(refresh);
        }
        if let Some(bonus) = self.bonus {
            let expiry = match bonus.lasts {
                Lasting::Never => json!("never"),
                Lasting::CycleEnd => json!("cycle_end"),
                Lasting::Days(days) => json!({"days": days}),
                Lasting::Months(months) => json!({"months": months}),
            };
            plan["bonus"] = json!({"credits": by_interval(bonus.credits), "class": bonus.class, "expiry": expiry});
        }
        if let Some((max, cycles)) = self.rollover {
            plan["rollover"] = json!({"max": max, "cycles": cycles});
        }
        if let Some(addon) = self.addon {
            let scope = if addon.personal { "per_user" } else { "shared" };
            plan["addon"] = json!({"credits": addon.credits, "scope": scope, "units_max": addon.most});
            if let Some(price) = addon.price {
                plan["addon"]["price"] = json!({"amount": price, "currency": "EUR"});
            }
        }
        plan
    }
}

fn by_interval([month, year]: [i64; 2]) -> Value {
    json!({"month": month, "year": year})
}

impl CapKind {
    pub fn counts(&self, operation: Option<&str>) -> bool {
        match &self.operations {
            None => true,
            Some(list) => list.iter().any(|listed| Some(*listed) == operation),
        }
    }
}

impl Cap {
    fn document(&self) -> Value {
        let mut cap = json!({
            "window": self.kind.window,
            "limit": self.limit,
            "per": if self.kind.by_member { "member" } else { "account" },
            "over_whole_cap": if self.allows_in_empty_window { "allow_in_empty_window" } else { "reject" },
        });
        if let Some(operations) = &self.kind.operations {
            cap["operations"] = json!(operations);
        }
        cap
    }
}

impl Operation {
    /// None: no rule is for that many.
    pub fn price(&self, quantity: i64) -> Option<i64> {
        let fitting = self
            .prices
            .iter()
            .find(|price| price.only_for.is_none_or(|only| only == quantity));
        fitting.map(|price| price.of(quantity))
    }

    fn document(&self) -> Value {
        let mut operation = json!({"prices": self.prices.iter().map(Price::document).collect::<Vec<_>>()});
        if let Some(classes) = &self.paid_by {
            operation["paid_by"] = json!(classes);
        }
        operation
    }
}

impl Price {
    /// One after the other, in parts of a credit.
    fn of(&self, quantity: i64) -> i64 {
        let mut cost = self.fixed;
        if let Some((credits, each, rounding)) = self.rate {
            let parts: i64 = (0..quantity).map(|_| credits).sum();
            let (whole, rest) = (parts.div_euclid(each), parts.rem_euclid(each));
            cost += match rounding {
                Rounding::Up if rest > 0 => whole + 1,
                Rounding::Up | Rounding::Down => whole,
                Rounding::Begun => (0..quantity).filter(|n| n % each == 0).map(|_| credits).sum(),
            };
        }
        let least = self.least.unwrap_or(1);
        let most = self.most.unwrap_or(i64::MAX);
        if cost < least {
            least
        } else if cost > most {
            most
        } else {
            cost
        }
    }

    fn document(&self) -> Value {
        let mut rule = json!({"fixed": self.fixed});
        if let Some(quantity) = self.only_for {
            rule["when"] = json!({"quantity": quantity});
        }
        if let Some((credits, each, rounding)) = self.rate {
            let rounding = format!("{rounding:?}").to_lowercase();
            rule["per"] = json!({"quantity": {"credits": credits, "each": each, "rounding": rounding}});
        }
        if let Some(least) = self.least {
            rule["minimum"] = json!(least);
        }
        if let Some(most) = self.most {
            rule["maximum"] = json!(most);
        }
        rule
    }
}

impl Need {
    pub fn text(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Subscription => "subscription",
            Self::PaidSubscription => "paid_subscription",
        }
    }
}

impl Terms {
    fn document(&self) -> Value {
        let by_class = |word: &dyn Fn(usize) -> String| json!({"plan": word(0), "addon": word(1), "balance": word(2)});
        let plans: BTreeMap<_, _> = self.plans.iter().map(|(name, plan)| (name, plan.document())).collect();
        let operations: BTreeMap<_, _> = self.operations.iter().map(|(name, op)| (name, op.document())).collect();
        json!({
            "unit": {"name": "credits"},
            "timezone": self.zone,
            "spending_order": self.order,
            "plans": plans,
            "operations": operations,
            "caps": self.caps.iter().map(Cap::document).collect::<Vec<_>>(),
            "gates": {"spend": by_class(&|class| self.needs[class].text().to_owned())},
            "holds": {"expires_in_s": self.holds.0, "expires_in_s_max": self.holds.1},
            "quotes": {"expires_in_s": self.quotes},
            "refunds": {"expired_source": by_class(&|class| format!("{:?}", self.expired[class]).to_lowercase())},
        })
    }

    /// The same for the rules.
    pub fn program(&self) -> Program {
        parse(&self.document().to_string(), Format::Json).unwrap_or_else(|problems| panic!("{self:?}: {problems:?}"))
    }
}

impl std::fmt::Debug for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.document())
    }
}
