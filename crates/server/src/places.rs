//! Places for what tenants do at once, such as requests or imports: so many, and nobody takes them
//! all. A tenant may hold as many as are still free, so that one alone gets half of them, two a third
//! each, and whoever comes last still finds some.

use std::sync::Arc;

use foldhash::HashMap;
use parking_lot::Mutex;
use waypost_domain::{ErrorKind, Failure, OrgId};

/// When whoever found no place may try again, in seconds.
const COME_AGAIN_S: u32 = 1;

/// All places of one kind.
#[derive(Clone)]
pub(crate) struct Places(Arc<Shared>);

struct Shared {
    /// What they are for, in the plural.
    what: &'static str,
    total: usize,
    taken: Mutex<Taken>,
}

/// Places that are taken; the installation's own keys share those of nobody.
#[derive(Default)]
struct Taken {
    all: usize,
    of_tenant: HashMap<Option<OrgId>, usize>,
}

/// One place, free again when it is dropped.
pub(crate) struct Place {
    places: Places,
    tenant: Option<OrgId>,
}

impl Places {
    /// So many, for this (in the plural).
    pub(crate) fn new(what: &'static str, total: usize) -> Self {
        Self(Arc::new(Shared { what, total, taken: Mutex::default() }))
    }

    /// Takes a place for a tenant.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where none is free, [`ErrorKind::RateLimited`] where the tenant
    /// has its share; both with a time to come again.
    pub(crate) fn take(&self, tenant: Option<&OrgId>) -> Result<Place, Failure> {
        let tenant = tenant.cloned();
        let mut taken = self.0.taken.lock();
        let what = self.0.what;
        let free = self.0.total.saturating_sub(taken.all);
        if free == 0 {
            let message = format!("Too many {what} at once; try again in a moment.");
            return Err(Failure::new(ErrorKind::Unavailable, message).retry_after_s(COME_AGAIN_S));
        }
        let own = taken.of_tenant.get(&tenant).copied().unwrap_or(0);
        if own >= free {
            let message = format!("Too many {what} of yours at once; others need room too.");
            return Err(Failure::new(ErrorKind::RateLimited, message).retry_after_s(COME_AGAIN_S));
        }
        taken.all += 1;
        taken.of_tenant.insert(tenant.clone(), own + 1);
        drop(taken);
        Ok(Place { places: self.clone(), tenant })
    }

    /// Places that are taken.
    #[cfg(test)]
    fn taken(&self) -> usize {
        self.0.taken.lock().all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.taken.lock();
        taken.all -= 1;
        let Some(own) = taken.of_tenant.get_mut(&self.tenant) else { return };
        *own -= 1;
        if *own == 0 {
            taken.of_tenant.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes places for one tenant until it is refused.
    fn fill(places: &Places, tenant: Option<&OrgId>) -> (Vec<Place>, Failure) {
        let mut held = Vec::new();
        loop {
            match places.take(tenant) {
                Ok(place) => held.push(place),
                Err(refusal) => return (held, refusal),
            }
        }
    }

    #[test]
    fn one_tenant_never_takes_what_others_need() {
        let places = Places::new("requests", 90);
        let [one, other] = ["org-1", "org-2"].map(OrgId::new);
        let (of_one, refusal) = fill(&places, Some(&one));
        assert_eq!(of_one.len(), 45);
        assert_eq!((refusal.kind, refusal.retry_after_s), (ErrorKind::RateLimited, Some(1)));
        let (of_other, refusal) = fill(&places, Some(&other));
        assert_eq!(of_other.len(), 23);
        assert_eq!(refusal.kind, ErrorKind::RateLimited);
        assert!(places.take(Some(&one)).is_err(), "it has more than its share already");
        assert!(places.take(None).is_ok());
        drop(of_one);
        assert!(places.take(Some(&one)).is_ok());
        drop(of_other);
        assert_eq!(places.taken(), 0);
        assert!(places.0.taken.lock().of_tenant.is_empty());
    }

    #[test]
    fn when_nothing_is_free_nobody_is_to_blame() {
        let places = Places::new("requests", 3);
        let held: Vec<_> = ["org-1", "org-2", "org-3"]
            .map(|org| places.take(Some(&OrgId::new(org))).ok())
            .into_iter()
            .collect();
        assert!(held.iter().all(Option::is_some));
        let refusal = places.take(Some(&OrgId::new("org-4"))).err().unwrap();
        assert_eq!((refusal.kind, refusal.retry_after_s), (ErrorKind::Unavailable, Some(1)));
    }
}
