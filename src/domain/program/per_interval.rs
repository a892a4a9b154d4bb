//! A number of credits that may differ with the billing interval: `500`, or `{"month": 500, "year": 6000}`.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
    ser::SerializeMap,
};

use crate::domain::{credits::CREDITS_MAX, cycle::Interval};

/// Credits by billing interval, 0 to 2^53 - 1 each; an interval that is left out has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerInterval {
    pub month: i64,
    pub year: i64,
}

impl PerInterval {
    pub fn same(credits: i64) -> Self {
        Self {
            month: credits,
            year: credits,
        }
    }

    pub fn of(self, interval: Interval) -> i64 {
        match interval {
            Interval::Month => self.month,
            Interval::Year => self.year,
        }
    }
}

impl Serialize for PerInterval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.month == self.year {
            return serializer.serialize_i64(self.month);
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("month", &self.month)?;
        map.serialize_entry("year", &self.year)?;
        map.end()
    }
}

/// A number of credits, 0 or more.
struct Credits(i64);

impl<'de> Deserialize<'de> for Credits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let credits = i64::deserialize(deserializer)?;
        if (0..=CREDITS_MAX).contains(&credits) {
            Ok(Self(credits))
        } else {
            Err(D::Error::custom(format!(
                "{credits} is out of range: give 0 to {CREDITS_MAX}"
            )))
        }
    }
}

impl<'de> Deserialize<'de> for PerInterval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = PerInterval;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(
                    f,
                    "a whole number from 0 to {CREDITS_MAX}, or one for `month` and one for `year`"
                )
            }

            fn visit_i64<E: Error>(self, credits: i64) -> Result<PerInterval, E> {
                if (0..=CREDITS_MAX).contains(&credits) {
                    Ok(PerInterval::same(credits))
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Signed(credits), &self))
                }
            }

            fn visit_u64<E: Error>(self, credits: u64) -> Result<PerInterval, E> {
                match i64::try_from(credits) {
                    Ok(credits) => self.visit_i64(credits),
                    Err(_) => Err(E::invalid_value(serde::de::Unexpected::Unsigned(credits), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PerInterval, A::Error> {
                let (mut month, mut year) = (None, None);
                while let Some(interval) = map.next_key::<Interval>()? {
                    let place = match interval {
                        Interval::Month => &mut month,
                        Interval::Year => &mut year,
                    };
                    if place.replace(map.next_value::<Credits>()?.0).is_some() {
                        return Err(A::Error::custom("an interval stands there twice"));
                    }
                }
                Ok(PerInterval {
                    month: month.unwrap_or(0),
                    year: year.unwrap_or(0),
                })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl utoipa::PartialSchema for PerInterval {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
        let number = || {
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(0))
                .maximum(Some(CREDITS_MAX))
        };
        let by_interval = ObjectBuilder::new()
            .property("month", number())
            .property("year", number());
        OneOfBuilder::new().item(number()).item(by_interval).into()
    }
}

impl utoipa::ToSchema for PerInterval {}
