//! How the paces of numbers stand, and whether the upstream works for them, for Prometheus. Numbers appear once they have sent or queued
//! something.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use waypost_engine::PacingView;

/// The most numbers that are shown: what is scraped has a bound.
const MAX_NUMBERS: usize = 1_000;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NumberLabels {
    number: String,
}

type GaugeOf = (&'static str, &'static str, fn(&PacingView) -> u64);

const GAUGES: [GaugeOf; 9] = [
    ("pace_configured_per_second", "Starts a second as configured", |it| {
        u64::from(it.configured_per_s)
    }),
    ("pace_present_per_second", "Starts a second at present", |it| u64::from(it.present_per_s)),
    ("pace_paused_milliseconds", "For how long nothing starts", |it| it.paused_ms),
    ("pace_in_flight", "Calls to the upstream under way for queued messages", |it| it.in_flight),
    ("pace_people", "People whose pace is remembered", |it| it.people),
    ("pace_bulk_held", "1 while marketing and broadcasts are kept back", |it| {
        u64::from(it.bulk_held_until.is_some())
    }),
    ("pace_capped_people", "People who get no marketing for now", |it| it.capped_people),
    ("outage", "1 while the upstream fails and the number's queue is only probed", |it| {
        u64::from(it.outage.is_some())
    }),
    ("outage_locked", "1 while it refuses all of the number and an operator must act", |it| {
        u64::from(it.outage.is_some_and(|outage| outage.is_locked))
    }),
];

const COUNTERS: [GaugeOf; 4] = [
    ("pace_postponed", "Messages put off for their person's pace, or a guard", |it| it.postponed),
    ("pace_refused", "Callers who were told the rate error", |it| it.refused),
    ("pace_too_fast", "Times that the upstream found the number too fast", |it| it.too_fast),
    ("pace_pair_too_fast", "Times that it found it too fast to one person", |it| it.pair_too_fast),
];

/// Registers what stands now.
pub(crate) fn register(registry: &mut Registry, pacing: &[PacingView]) {
    let shown = &pacing[..pacing.len().min(MAX_NUMBERS)];
    let labels = |view: &PacingView| NumberLabels { number: view.number_id.to_string() };
    for (name, help, value) in GAUGES {
        let family = Family::<NumberLabels, Gauge>::default();
        for view in shown {
            let value = i64::try_from(value(view)).unwrap_or(i64::MAX);
            family.get_or_create(&labels(view)).set(value);
        }
        registry.register(name, help, family);
    }
    for (name, help, value) in COUNTERS {
        let family = Family::<NumberLabels, Counter>::default();
        for view in shown {
            family.get_or_create(&labels(view)).inc_by(value(view));
        }
        registry.register(name, help, family);
    }
}
