//! Wakes a watch when it has to check for changes.

#[cfg(feature = "postgres")]
use crate::database::notifications::Notifications;
use std::time::Duration;

/// Waits until a watch has to check for changes.
pub(crate) struct ChangeNotifier {
    interval: Duration,
    #[cfg(feature = "postgres")]
    notifications: Option<Notifications>,
}

impl ChangeNotifier {
    /// Ten times a second: SQLite sends no notifications, and a check costs it next to nothing.
    #[cfg(feature = "sqlite")]
    pub(crate) fn of_sqlite() -> Self {
        Self {
            interval: Duration::from_millis(100),
            #[cfg(feature = "postgres")]
            notifications: None,
        }
    }

    /// When a notification arrives, and twice a second. Notifications take milliseconds, but may get lost.
    #[cfg(feature = "postgres")]
    pub(crate) fn of_postgres(notifications: Notifications) -> Self {
        Self { interval: Duration::from_millis(500), notifications: Some(notifications) }
    }

    /// Returns when the watch has to check.
    pub(crate) async fn wait(&mut self) {
        #[cfg(feature = "postgres")]
        if let Some(notifications) = &mut self.notifications {
            return notifications.changed_within(self.interval).await;
        }
        tokio::time::sleep(self.interval).await;
    }
}
