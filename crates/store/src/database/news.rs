//! Tells a watch when to check for changes.

#[cfg(feature = "postgres")]
use crate::database::notifications::Notifications;
use std::time::Duration;

/// Says when it is time to check whether something has changed.
pub(crate) struct News {
    interval: Duration,
    #[cfg(feature = "postgres")]
    notifications: Option<Notifications>,
}

impl News {
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

    /// Returns when it is time.
    pub(crate) async fn wait(&mut self) {
        #[cfg(feature = "postgres")]
        if let Some(notifications) = &mut self.notifications {
            return notifications.heard_within(self.interval).await;
        }
        tokio::time::sleep(self.interval).await;
    }
}
