//! Plans: what a subscription grants, how often, and what changes of plan do.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{Cap, Expiry, PerInterval};
use crate::domain::{credits::Amount, cycle::Interval, grant::Class, money::Money, text::Name};

/// What a subscription to it gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What people read. Default: the plan's name in the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Whether money is paid for it: what a `paid_subscription` gate asks. Default: true.
    #[serde(default = "yes")]
    pub paid: bool,
    /// Decides what is an upgrade: to a higher rank; with equal ranks from unpaid to paid; with both equal to a larger
    /// yearly allowance. -1000 to 1000. Default: 0.
    #[serde(default)]
    pub rank: i32,
    /// Credits granted at each refresh, of class plan, until the next one. Default: 0.
    #[serde(default)]
    pub allowance: PerInterval,
    /// The intervals at which it can be paid: `"month"`, `"year"` or both. The first is the default of a subscription. Default:
    /// month.
    #[serde(default, alias = "interval")]
    pub billing: Billing,
    /// How often the allowance is granted anew: `month`, `year`, or with each `billing`. Default: billing.
    #[serde(default)]
    pub refresh: Refresh,
    /// What renews it. Default: clock.
    #[serde(default)]
    pub renewal: Renewal,
    /// What an upgrade to this plan grants at once. Default: difference.
    #[serde(default)]
    pub upgrade: UpgradeGrant,
    /// Credits granted with every payment, beside the allowance. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bonus: Option<Bonus>,
    /// What remains of an allowance when it ends goes into the next cycles. Default: nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollover: Option<Rollover>,
    /// Units that can be added to a subscription. Default: none can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addon: Option<Addon>,
    /// Caps of the plan's subscribers, in the place of the program's of the same window, scope and operations. At most 100.
    /// Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
}

fn yes() -> bool {
    true
}

/// The intervals at which a plan can be paid: one or both, each once, the default first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billing(Vec<Interval>);

impl Billing {
    pub fn default_interval(&self) -> Interval {
        self.0.first().copied().unwrap_or(Interval::Month)
    }

    pub fn offers(&self, interval: Interval) -> bool {
        self.0.contains(&interval)
    }

    pub fn intervals(&self) -> &[Interval] {
        &self.0
    }
}

impl Default for Billing {
    fn default() -> Self {
        Self(vec![Interval::Month])
    }
}

impl Serialize for Billing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            both => both.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Billing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> serde::de::Visitor<'de> for OneOrMore {
            type Value = Vec<Interval>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`month`, `year`, or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Vec<Interval>, E> {
                Interval::deserialize(serde::de::value::StrDeserializer::new(text)).map(|interval| vec![interval])
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Interval>, A::Error> {
                let mut intervals = Vec::new();
                while let Some(interval) = list.next_element()? {
                    intervals.push(interval);
                }
                Ok(intervals)
            }
        }

        let intervals = deserializer.deserialize_any(OneOrMore)?;
        match intervals.as_slice() {
            [_] => Ok(Self(intervals)),
            [first, second] if first != second => Ok(Self(intervals)),
            _ => Err(D::Error::custom("name month, year or both, each once")),
        }
    }
}

impl utoipa::PartialSchema for Billing {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder};
        OneOfBuilder::new()
            .item(Interval::schema())
            .item(ArrayBuilder::new().items(Interval::schema()))
            .into()
    }
}

impl utoipa::ToSchema for Billing {}

/// How often an allowance is granted anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// With every payment.
    #[default]
    Billing,
    Month,
    Year,
}

impl Refresh {
    pub fn interval(self, billing: Interval) -> Interval {
        match self {
            Self::Billing => billing,
            Self::Month => Interval::Month,
            Self::Year => Interval::Year,
        }
    }
}

/// What renews a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Renewal {
    /// Time alone: lifetime deals, customers who pay by invoice, plans that cost nothing.
    #[default]
    Clock,
    /// Stripe's `invoice.paid`.
    Stripe,
}

/// What an upgrade grants at once, until the end of the running cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpgradeGrant {
    /// The new allowance less the old one.
    #[default]
    Difference,
    /// The difference, in proportion to what is left of the cycle, rounded down.
    Prorated,
    /// The whole new allowance.
    Full,
}

/// Credits that come with every payment of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bonus {
    /// How many come with a payment.
    pub credits: PerInterval,
    /// The class of the grant. Default: balance.
    #[serde(default = "balance")]
    pub class: Class,
    /// When they expire. Default: never.
    #[serde(default)]
    pub expiry: Expiry,
}

fn balance() -> Class {
    Class::Balance
}

/// What remains of an allowance is granted anew when it ends, up to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollover {
    /// The most credits that go over.
    pub max: Amount,
    /// For how many cycles they last, 1 to 120. What rolled over once does not again. Default: 1.
    #[serde(default = "one")]
    pub cycles: u32,
}

fn one() -> u32 {
    1
}

/// Units that can be added to a subscription of the plan. They are granted with each refresh, of class addon, and end with
/// the subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Addon {
    /// What people read. Default: the unit's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Credits of one unit for one refresh.
    pub credits: Amount,
    /// What a unit costs for one payment. Shown, and kept with the grants; Scrip does not collect it. Default: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// Whose the credits are. Default: shared.
    #[serde(default)]
    pub scope: AddonScope,
    /// The most units of a subscription, 1 to 1,000,000. Default: 1,000.
    #[serde(default = "thousand")]
    pub units_max: u32,
}

fn thousand() -> u32 {
    1_000
}

/// Who may draw on an add-on's credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddonScope {
    /// The account is one user's: a spend that names another member than the account itself is not paid with them.
    PerUser,
    /// Every member of the account.
    #[default]
    Shared,
}

impl Plan {
    /// Credits granted at each refresh.
    pub fn allowance_at(&self, billing: Interval) -> i64 {
        self.allowance.of(billing)
    }

    /// The interval between two refreshes.
    pub fn refresh_interval(&self, billing: Interval) -> Interval {
        self.refresh.interval(billing)
    }

    /// What a year of it grants: the measure of an upgrade.
    pub(super) fn yearly_allowance(&self, billing: Interval) -> i128 {
        let refreshes = 12 / self.refresh_interval(billing).months();
        i128::from(self.allowance_at(billing)) * i128::from(refreshes)
    }

    /// How the change to `other` compares: greater is an upgrade, less a downgrade.
    pub fn compare(&self, billing: Interval, other: &Self, other_billing: Interval) -> std::cmp::Ordering {
        (other.rank, other.paid, other.yearly_allowance(other_billing)).cmp(&(
            self.rank,
            self.paid,
            self.yearly_allowance(billing),
        ))
    }
}
