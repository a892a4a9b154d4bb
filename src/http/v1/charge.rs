//! What spends, holds and quotes ask for alike: an amount, a priced operation, or what was quoted.

use std::collections::BTreeMap;

use crate::{
    domain::{
        credits::Amount,
        decide::Charge,
        ids::QuoteId,
        program::{AttributeValue, Wanted},
        text::Name,
    },
    http::error::Problem,
};

/// The most attributes of one request.
const ATTRIBUTES_LEN_MAX: usize = 50;
/// The longest text of an attribute, in bytes.
const ATTRIBUTE_LEN_MAX: usize = 200;

/// The fields as they were read.
pub(super) struct Asked {
    pub amount: Option<Amount>,
    pub operation: Option<Name>,
    pub quantity: Option<Amount>,
    pub attributes: Option<BTreeMap<String, AttributeValue>>,
    pub quote_id: Option<QuoteId>,
    pub member: Option<Name>,
}

impl TryFrom<Asked> for Charge {
    type Error = Problem;

    fn try_from(asked: Asked) -> Result<Self, Problem> {
        let invalid = |code, field: &str, detail: String| {
            Problem::unprocessable(code, format!("{field}: {detail}.")).with("field", field)
        };
        let is_priced = asked.quantity.is_some() || asked.attributes.is_some();
        if asked.amount.is_none() && asked.operation.is_none() && asked.quote_id.is_none() {
            let detail = "missing. Give it, or an operation of the program, or a quote".to_owned();
            return Err(invalid("invalid_amount", "amount", detail));
        }
        if asked.amount.is_some() && is_priced {
            let detail = "leave it out where quantity or attributes are given: the program's price decides".to_owned();
            return Err(invalid("invalid_amount", "amount", detail));
        }
        let attributes = asked.attributes.unwrap_or_default();
        if attributes.len() > ATTRIBUTES_LEN_MAX {
            let detail = format!("{} are more than the {ATTRIBUTES_LEN_MAX} allowed", attributes.len());
            return Err(invalid("invalid_attributes", "attributes", detail));
        }
        let is_long = |(name, value): (&String, &AttributeValue)| {
            let text = if let AttributeValue::Text(text) = value {
                text
            } else {
                ""
            };
            name.len().max(text.len()) > ATTRIBUTE_LEN_MAX || name.contains('\0') || text.contains('\0')
        };
        if attributes.iter().any(is_long) {
            let detail = format!("a name or a text has more than {ATTRIBUTE_LEN_MAX} bytes, or the character U+0000");
            return Err(invalid("invalid_attributes", "attributes", detail));
        }
        Ok(Self {
            amount: asked.amount,
            operation: asked.operation.map(String::from),
            wanted: is_priced.then(|| Wanted {
                quantity: asked.quantity.map_or(1, Amount::get),
                attributes,
            }),
            quote_id: asked.quote_id,
            member: asked.member.map(String::from),
        })
    }
}
