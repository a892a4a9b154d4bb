//! Latencies in fixed slots: 64 per power of two of nanoseconds, so that a reading is off by less than 1.6 %.

use std::time::Duration;

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;

pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; (65 - SLOT_BITS as usize) * SLOTS],
            total: 0,
        }
    }
}

impl Histogram {
    pub fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[slot(ns)] += 1;
        self.total += 1;
    }

    /// The latency that `share` of the requests did not exceed, in milliseconds.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|&count| {
            seen += count;
            seen >= wanted
        });
        found.map_or(0.0, |slot| highest_in(slot) as f64 / 1e6)
    }
}

/// Below 64 ns each nanosecond has its slot; above, the power of two picks a row and the next six bits its column.
fn slot(ns: u64) -> usize {
    let row = (u64::BITS - ns.leading_zeros()).saturating_sub(SLOT_BITS + 1);
    row as usize * SLOTS + (ns >> row) as usize
}

fn highest_in(slot: usize) -> u64 {
    let row = (slot / SLOTS).saturating_sub(1);
    let column = (slot - row * SLOTS) as u64;
    ((column + 1) << row) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_its_latency_within_two_percent() {
        for ns in [0, 1, 63, 64, 65, 127, 128, 1_000, 999_999, 12_345_678, 9_876_543_210] {
            let read = highest_in(slot(ns));
            assert!(
                read >= ns && (read - ns) as f64 <= ns as f64 * 0.016,
                "{ns} reads as {read}"
            );
        }
    }

    #[test]
    fn quantiles_of_one_to_a_hundred_ms() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|ms| histogram.record(Duration::from_millis(ms)));
        assert!((histogram.quantile_ms(0.5) - 50.0).abs() < 1.0);
        assert!((histogram.quantile_ms(0.99) - 99.0).abs() < 2.0);
    }
}
