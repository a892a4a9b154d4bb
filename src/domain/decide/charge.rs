//! What a spend or a hold costs, and who pays: price, quote, caps, gates, spending order.

use super::{AccountState, Charge, Context};
use crate::domain::{
    cap::Count,
    grant::Class,
    ids::SubscriptionId,
    program::Wanted,
    quote::Quote,
    rejection::Rejection,
    spending_order::{Draw, Purpose, can_draw, draw, frozen},
    transaction::Detail,
};

/// What is charged, once its price is known.
pub(super) struct Charged<'a> {
    pub amount: i64,
    /// What the least of it costs that can be had at once: one of several, else the amount.
    pub least: i64,
    pub operation: Option<String>,
    pub wanted: Option<Wanted>,
    pub member: Option<String>,
    /// The quote that is honoured.
    pub quote: Option<&'a Quote>,
}

/// Where the credits come from, and what the caps count.
pub(super) struct Funding {
    pub drawdown: Vec<Draw>,
    pub counts: Vec<Count>,
}

impl Funding {
    pub fn amount(&self) -> i64 {
        self.drawdown.iter().map(|part| part.amount).sum()
    }
}

/// The price of what is asked for: the amount given, the quote's, or the operation's in the program in force.
pub(super) fn price<'a>(
    state: &'a AccountState,
    charge: &Charge,
    context: &Context<'_>,
) -> Result<Charged<'a>, Rejection> {
    if let Some(quote_id) = charge.quote_id {
        let quote = state
            .quotes
            .get(&quote_id)
            .ok_or(Rejection::QuoteNotFound { quote_id })?;
        return honour(quote, charge, context);
    }
    let operation = charge.operation.as_deref();
    let known = operation.and_then(|name| context.program.operations.get(name));
    let (amount, wanted) = match (charge.amount, operation, known) {
        (Some(amount), ..) => (amount.get(), None),
        (None, Some(name), Some(operation)) => {
            let wanted = charge.wanted.clone().unwrap_or_else(Wanted::one);
            let amount = operation.price(&wanted).map_err(|reason| Rejection::Unpriced {
                operation: name.to_owned(),
                reason,
            })?;
            (amount, Some(wanted))
        }
        (None, name, _) => {
            return Err(Rejection::UnknownOperation {
                operation: name.unwrap_or_default().to_owned(),
            });
        }
    };
    Ok(Charged {
        amount,
        least: cost_of_one(operation, wanted.as_ref(), amount, context),
        operation: charge.operation.clone(),
        wanted,
        member: charge.member.clone(),
        quote: None,
    })
}

/// What one costs where several are wanted. Where one alone has no price: all of them.
fn cost_of_one(operation: Option<&str>, wanted: Option<&Wanted>, amount: i64, context: &Context<'_>) -> i64 {
    let known = operation.and_then(|name| context.program.operations.get(name));
    let (Some(operation), Some(wanted)) = (known, wanted.filter(|wanted| wanted.quantity > 1)) else {
        return amount;
    };
    let one = Wanted {
        quantity: 1,
        ..wanted.clone()
    };
    operation.price(&one).map_or(amount, |cost| cost.min(amount))
}

/// What was quoted, if it is still to be had and nothing else is asked for.
fn honour<'a>(quote: &'a Quote, charge: &Charge, context: &Context<'_>) -> Result<Charged<'a>, Rejection> {
    let quote_id = quote.id;
    if let Some(used_by) = quote.used_by {
        return Err(Rejection::QuoteAlreadyUsed { quote_id, used_by });
    }
    if quote.expires_at <= context.now {
        return Err(Rejection::QuoteExpired {
            quote_id,
            expired_at: quote.expires_at,
        });
    }
    let same = charge.amount.is_none_or(|amount| amount.get() == quote.amount)
        && (charge.operation.is_none() || charge.operation == quote.operation)
        && (charge.wanted.is_none() || charge.wanted == quote.wanted)
        && (quote.member.is_none() || charge.member.is_none() || charge.member == quote.member);
    if !same {
        return Err(Rejection::QuoteDiffers {
            quote_id,
            quoted_amount: quote.amount,
        });
    }
    Ok(Charged {
        amount: quote.amount,
        least: cost_of_one(quote.operation.as_deref(), quote.wanted.as_ref(), quote.amount, context),
        operation: quote.operation.clone(),
        wanted: quote.wanted.clone(),
        member: charge.member.clone().or_else(|| quote.member.clone()),
        quote: Some(quote),
    })
}

impl Charged<'_> {
    /// What the caller said of it, for the books.
    pub fn detail(&self) -> Detail {
        Detail {
            operation: self.operation.clone(),
            // One without attributes goes without saying.
            wanted: self.wanted.clone().filter(|wanted| *wanted != Wanted::one()),
            member: self.member.clone(),
            quote_id: self.quote.map(|quote| quote.id),
            ..Detail::default()
        }
    }

    /// The caps that count it, then the grants that pay. A quote that could be afforded when it was given has passed the
    /// caps, and is paid by the grants it named as long as they can.
    pub fn fund(&self, state: &AccountState, partial: bool, context: &Context<'_>) -> Result<Funding, Rejection> {
        let caps = state.caps(context.program, context.now);
        let caps = caps.of(self.operation.as_deref(), self.member.as_deref());
        let honoured = self.quote.filter(|quote| quote.affordable);
        let fits = match honoured {
            // Of a member that the quote did not name, the caps were not asked yet.
            Some(quote) if quote.member == self.member => self.amount,
            _ => caps.fit(self.amount, self.least, partial)?,
        };
        let barred = self.barred(state);
        let purpose = self.purpose(state, &barred, context);
        // Of which the caps let a part through, only that is drawn.
        let is_whole = fits == self.amount;
        let quoted =
            honoured.filter(|quote| is_whole && can_draw(&state.grants, &quote.drawdown, &purpose, context.now));
        let drawdown = match quoted {
            Some(quote) => quote.drawdown.clone(),
            None => draw(
                &context.program.spending_order,
                &state.grants,
                &purpose,
                fits,
                context.now,
            ),
        };
        let available: i64 = drawdown.iter().map(|part| part.amount).sum();
        if available == 0 || (available < self.amount && !partial) {
            return Err(self.refusal(state, available, partial, &purpose, context));
        }
        Ok(Funding {
            drawdown,
            counts: caps.counts(available),
        })
    }

    /// What could be drawn towards it, caps aside.
    pub fn within_reach(&self, state: &AccountState, context: &Context<'_>) -> Vec<Draw> {
        let barred = self.barred(state);
        let purpose = self.purpose(state, &barred, context);
        draw(
            &context.program.spending_order,
            &state.grants,
            &purpose,
            self.amount,
            context.now,
        )
    }

    /// The subscriptions whose add-on credits are one user's own, if the spend is another member's.
    fn barred(&self, state: &AccountState) -> Vec<SubscriptionId> {
        match self.member.as_deref() {
            Some(member) if member != state.external_id.as_str() => {
                let personal = state.subscriptions.iter().filter(|s| s.addon_is_personal());
                personal.map(|s| s.id).collect()
            }
            _ => Vec::new(),
        }
    }

    fn purpose<'a>(
        &'a self,
        state: &AccountState,
        barred: &'a [SubscriptionId],
        context: &'a Context<'_>,
    ) -> Purpose<'a> {
        let operation = self.operation.as_deref();
        let known = operation.and_then(|name| context.program.operations.get(name));
        let paid_by: Option<&[Class]> = known.and_then(|operation| operation.paid_by.as_deref());
        Purpose {
            operation,
            paid_by,
            open: state.open_classes(context.program, context.now),
            barred,
        }
    }

    fn refusal(
        &self,
        state: &AccountState,
        available: i64,
        partial: bool,
        purpose: &Purpose<'_>,
        context: &Context<'_>,
    ) -> Rejection {
        let needed = self.amount;
        let closed = |frozen, class| Rejection::GateClosed {
            needed,
            available,
            frozen,
            requires: context.program.gates.spend.of(class).as_str(),
        };
        // Who may spend no class that pays for it is told of the gate first: more credits would not help.
        let payers = purpose.paid_by.unwrap_or(&Class::ALL);
        let all_closed = payers.iter().all(|class| !purpose.open.has(*class));
        match (frozen(&state.grants, purpose, context.now), payers.first()) {
            (Some((frozen, class)), _) if partial || all_closed || available + frozen >= needed => {
                closed(frozen, class)
            }
            (None, Some(class)) if all_closed => closed(0, *class),
            _ => Rejection::InsufficientCredits { needed, available },
        }
    }
}
