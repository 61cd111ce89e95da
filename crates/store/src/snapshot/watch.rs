//! Follows the store while a server runs: reads the revision several times a second, and reloads what has changed.

use crate::audit::StoreLoss;
use crate::clock::now;
use crate::database::{ChangeNotifier, within};
use crate::error::StoreError;
use crate::heartbeat::Heartbeat;
use crate::revocations::NewRevocation;
use crate::snapshot::health::{Condition, Health};
use crate::snapshot::in_memory::Snapshot;
use crate::snapshot::moment::Moment;
use crate::snapshot::read::{Drift, Reading};
use crate::snapshot::recent_uses::RecentUses;
use crate::snapshot::restriction::Restriction;
use crate::snapshot::write_again::{Kept, summary};
use crate::snapshot_file::Opened;
use crate::store::Store;
use crate::write_failures::Write;
use arc_swap::ArcSwap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokenberg_core::backends::{BoxFuture, NotWritten, Writing};
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::token::SingleUseId;
use tokenberg_core::{Keys, Revocations, Revoke, SingleUse, World};

/// How long a revocation that was written waits until this process sees it.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(10);

/// The present moment of a store, kept up to date in the background. A clone is the same watch.
///
/// Changes by any process are seen within half a second plus the time that reading them takes, mostly much sooner. If reading
/// fails, the last moment stays, and [`Watched::health`] reports it. The background task ends when the last clone is dropped.
pub struct Watched<K>(pub(super) Arc<Inner<K>>);

pub(super) struct Inner<K> {
    pub(super) store: Store,
    build: Box<Build<K>>,
    moment: ArcSwap<Moment<K>>,
    condition: Mutex<Condition>,
    /// One reload at a time, so that an older moment never replaces a newer one.
    reloading: tokio::sync::Mutex<()>,
    kept: Kept,
    uses: RecentUses,
    pub(super) heartbeat: Arc<Heartbeat>,
}

type Build<K> = dyn Fn(&[KeyMaterial], Option<&K>) -> Result<K, StoreError> + Send + Sync;

impl<K> Clone for Watched<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Store {
    /// Reads the store and follows it. `build` makes the keys from those of the store and its previous result, whenever the
    /// keys of the store have changed.
    ///
    /// Must be called within a tokio runtime. The watch ends with the runtime.
    ///
    /// # Errors
    /// If the store fails or is damaged, or `build` refuses the keys.
    pub async fn watch<K, E>(
        &self,
        build: impl Fn(&[KeyMaterial], Option<&K>) -> Result<K, E> + Send + Sync + 'static,
    ) -> Result<Watched<K>, StoreError>
    where
        K: Keys + 'static,
        E: Display,
    {
        Opened::from(self.clone()).watch(build).await
    }
}

impl Opened {
    /// Reads the store and follows it as [`Store::watch`] does, or begins with the last known state, joins the database when it is back,
    /// and follows it from then on.
    ///
    /// # Errors
    /// As [`Store::watch`].
    pub async fn watch<K, E>(
        &self,
        build: impl Fn(&[KeyMaterial], Option<&K>) -> Result<K, E> + Send + Sync + 'static,
    ) -> Result<Watched<K>, StoreError>
    where
        K: Keys + 'static,
        E: Display,
    {
        let build: Box<Build<K>> = Box::new(move |material, before| {
            build(material, before).map_err(|e| StoreError::KeysRejected { reason: e.to_string() })
        });
        match self {
            Self::Store(store) => {
                let checked_at = Instant::now();
                let snapshot = store.snapshot().await?;
                begin(store, snapshot, build, Condition::new(checked_at))
            }
            Self::LastKnown(known) => {
                let condition = Condition::of_last_known(known.contact, known.age, known.fault.clone());
                begin(&known.store, known.snapshot.clone(), build, condition)
            }
        }
    }
}

fn begin<K: Keys + 'static>(
    store: &Store,
    snapshot: Snapshot,
    build: Box<Build<K>>,
    condition: Condition,
) -> Result<Watched<K>, StoreError> {
    let keys = Arc::new(build(snapshot.keys(), None)?);
    let moment = Moment { store: store.clone(), snapshot, keys };
    let watched = Watched(Arc::new(Inner {
        store: store.clone(),
        build,
        moment: ArcSwap::from_pointee(moment),
        condition: Mutex::new(condition),
        reloading: tokio::sync::Mutex::default(),
        kept: Kept::default(),
        uses: RecentUses::default(),
        heartbeat: Arc::new(Heartbeat::new()),
    }));
    tokio::spawn(follow(Arc::downgrade(&watched.0), store.0.db.change_notifier()));
    Ok(watched)
}

async fn follow<K: Keys>(watched: Weak<Inner<K>>, mut notifier: ChangeNotifier) {
    loop {
        notifier.wait().await;
        let Some(inner) = watched.upgrade() else { return };
        // Failures are reported by `health` and in the log.
        if inner.refresh().await.is_ok() {
            inner.kept.write_piece(&inner.store).await;
        }
    }
}

impl<K: Keys> Watched<K> {
    /// The present moment. Call it once for each request, and answer the whole request from it.
    #[must_use]
    pub fn now(&self) -> Arc<Moment<K>> {
        self.0.moment.load_full()
    }

    /// Reads changes of the store now, as after a change by this process.
    ///
    /// # Errors
    /// If the store fails or is damaged, or the keys are refused; the last moment stays.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.0.refresh().await
    }

    /// How far behind the store it may be.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.condition().health(&self.0.store.0.write_failures, self.0.kept.written())
    }

    /// The present moment, and when it was last known to equal the store, in milliseconds since 1970; `None` while this process writes again what the database has lost.
    pub(crate) fn settled(&self) -> Option<(Arc<Moment<K>>, i64)> {
        // The time first: a moment may be younger than it, and is not older.
        let contact = self.0.contact();
        let moment = self.now();
        self.0.kept.is_settled().then_some((moment, contact))
    }

    /// The store that is watched.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }
}

impl<K: Keys + 'static> World for Watched<K> {
    type Moment = Moment<K>;

    fn now(&self) -> Arc<Moment<K>> {
        Self::now(self)
    }
}

impl<K: Keys + 'static> Revocations for Watched<K> {
    fn revoke<'a>(&'a self, revoke: &'a Revoke) -> Writing<'a> {
        Box::pin(async move {
            let session = revoke.branch().unwrap_or(revoke.session()).clone();
            let (token, until) = (revoke.id().clone(), revoke.until());
            let not_written = |error: StoreError| NotWritten { reason: error.to_string() };
            let client = revoke.client().cloned();
            let family = NewRevocation::Family { token, session, client, until };
            let written = self.store().revoke(&family).await;
            self.store().0.write_failures.note(Write::Revocation, written).map_err(not_written)?;
            match within(REFRESH_TIMEOUT, self.refresh()).await {
                // Refused keys must not delay a revocation.
                Ok(()) | Err(StoreError::KeysRejected { .. }) => {}
                Err(error) if error.is_of_the_seal() => {}
                Err(error) => return Err(not_written(error)),
            }
            // After a failover, another server answers the read, which may lack what the one before has committed.
            if self.now().snapshot().revoked(revoke.claims()).is_none() {
                let reason = "the database that answers now does not have it".to_owned();
                return Err(NotWritten { reason });
            }
            Ok(())
        })
    }

    fn catch_up(&self) -> Writing<'_> {
        Box::pin(async move {
            let read = within(REFRESH_TIMEOUT, self.refresh()).await;
            read.map_err(|error| NotWritten { reason: error.to_string() })
        })
    }
}

impl<K: Keys + 'static> SingleUse for Watched<K> {
    fn use_once<'a>(&'a self, once: &'a SingleUseId) -> BoxFuture<'a, Result<bool, NotWritten>> {
        Box::pin(async move {
            let used = self.store().use_id_once(once).await;
            let used = self.store().0.write_failures.note(Write::SingleUse, used);
            // A database that has lost a use of this process does not know that this is the second one.
            let used = used.map(|is_first| is_first && self.0.uses.add(once));
            used.map_err(|error| NotWritten { reason: error.to_string() })
        })
    }
}

impl<K: Keys> Inner<K> {
    async fn refresh(&self) -> Result<(), StoreError> {
        let asked_at = Instant::now();
        let _one_at_a_time = self.reloading.lock().await;
        // Those that waited together share one reload, if it began after they asked.
        if matches!(&*self.condition(), Condition { checked_at, fault: None, .. } if *checked_at > asked_at) {
            return Ok(());
        }
        let checked_at = Instant::now();
        let outcome = self.explained(self.follow().await).await;
        let mut condition = self.condition();
        if outcome.is_ok() {
            condition.reached(checked_at);
        }
        let fault = outcome.unwrap_or_else(Some);
        match &fault {
            Some(error) if condition.fault.as_ref() != fault.as_ref() => {
                tracing::warn!(%error, "the store cannot be followed; what was last read stays in force");
            }
            None if condition.fault.is_some() => tracing::info!("the store can be followed again"),
            Some(_) | None => {}
        }
        if condition.fault.is_some() != fault.is_some() {
            self.heartbeat.has_news();
        }
        condition.fault.clone_from(&fault);
        fault.map_or(Ok(()), Err)
    }

    /// Finds out why the database cannot be reached: whether it answers decides what a server reports as its readiness.
    async fn explained<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let error = match outcome {
            Err(error) if error.is_unavailable() && !error.is_answer_of_database() => error,
            outcome => return outcome,
        };
        let is_probe_due = self.condition().is_probe_due();
        if is_probe_due {
            return Err(self.store.0.db.probe().await.err().unwrap_or(error));
        }
        // What the last probe has found is still the best answer.
        let known = self.condition().fault.clone().filter(StoreError::is_unavailable);
        Err(known.unwrap_or(error))
    }

    /// Returns why the keys were refused, if they were. Then everything but the keys is up to date, because a bad key must not
    /// keep a disabled client working.
    async fn follow(&self) -> Result<Option<StoreError>, StoreError> {
        let before = self.moment.load_full();
        if let Some(file) = &self.store.0.file {
            file.check()?;
        }
        let is_apart = self.condition().is_apart();
        if is_apart {
            self.store.join().await?;
        }
        // A short read also shows whether the store answers, because reading everything may take a while.
        let poll = self.store.0.poller.poll(&self.store.0.db).await?;
        self.condition().answered(poll.server.as_ref());
        let instance = poll.server.as_ref().map(|server| &server.instance);
        let everything = is_apart || self.was_away() || self.condition().is_another(instance);
        if !everything && before.snapshot.is_at(&poll.progress) {
            self.condition().read_from(instance);
            return Ok(None);
        }
        let Reading { mut snapshot, drift, unopened } =
            self.store.snapshot_after(Some(&before.snapshot), everything).await?;
        if is_apart {
            self.kept.knew_keys(&before.snapshot, &snapshot, self.contact());
        }
        let lost = match drift {
            Drift::WentBack(_) => Some(self.lost(&before.snapshot, &snapshot).await?),
            Drift::Counted | Drift::Distrusted(_) | Drift::Unknown => None,
        };
        let timelines = self.condition().read_from(instance);
        match drift {
            Drift::Counted => self.kept.followed(&before.snapshot, &snapshot),
            Drift::Unknown => {}
            Drift::Distrusted(reason) => {
                self.condition().rereads += 1;
                tracing::warn!(
                    reason,
                    "everything was read again from the store; run: tokenberg audit verify"
                );
            }
            Drift::WentBack(is_at) => {
                let lost = lost.unwrap_or_default();
                let loss = StoreLoss { at: now(), was_at: before.snapshot.recorded.number, is_at, timelines };
                self.condition().lost_changes(&loss, &summary(&lost));
                self.kept.write_again(lost, loss);
            }
        }
        if everything || matches!(drift, Drift::WentBack(_)) {
            self.kept.use_again(self.uses.all());
        }
        self.kept.apply(&mut snapshot, &before.snapshot)?;
        let (keys, fault) = if unopened.is_some() {
            (self.remaining(&mut snapshot, &before), unopened)
        } else if snapshot.has_keys_of(&before.snapshot) {
            (before.keys.clone(), None)
        } else {
            match (self.build)(snapshot.keys(), Some(&before.keys)) {
                Ok(keys) => (Arc::new(keys), None),
                Err(fault) => {
                    snapshot.take_keys_of(&before.snapshot);
                    (before.keys.clone(), Some(fault))
                }
            }
        };
        if snapshot.numbers != before.snapshot.numbers {
            self.heartbeat.has_news();
        }
        self.moment.store(Arc::new(Moment { store: self.store.clone(), snapshot, keys }));
        Ok(fault)
    }

    /// The previous keys, without those that were removed from the store.
    fn remaining(&self, snapshot: &mut Snapshot, before: &Moment<K>) -> Arc<K> {
        let remaining = snapshot.keys.clone();
        snapshot.take_keys_of(&before.snapshot);
        if remaining.len() == snapshot.keys.len() {
            return before.keys.clone();
        }
        match (self.build)(&remaining, Some(&before.keys)) {
            Ok(keys) => {
                tracing::warn!(
                    "signing keys were removed from the store, and are not used any more; new ones cannot be opened"
                );
                snapshot.keys = remaining;
                Arc::new(keys)
            }
            Err(error) => {
                tracing::error!(%error, "signing keys that were removed from the store are still in use");
                before.keys.clone()
            }
        }
    }

    /// What takes rights away and is missing in the history that the store has now.
    async fn lost(&self, before: &Snapshot, after: &Snapshot) -> Result<Vec<Restriction>, StoreError> {
        self.kept.lost(&self.store, [before, after], self.contact()).await
    }

    /// When the state in memory was last known to equal the store, in milliseconds since 1970.
    fn contact(&self) -> i64 {
        self.condition().contact()
    }

    /// Whether the database server was away, so that another one may have taken its place.
    fn was_away(&self) -> bool {
        let was_away = self.condition().fault.as_ref().is_some_and(StoreError::is_unavailable);
        was_away && self.store.0.db.has_server()
    }

    pub(super) fn condition(&self) -> MutexGuard<'_, Condition> {
        // It is set as a whole, so a panic elsewhere leaves it consistent.
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
