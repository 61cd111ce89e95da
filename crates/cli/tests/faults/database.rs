//! SQL by an operator, and a primary with a standby that follows it.

use crate::cluster::Cluster;
use crate::site::Site;
use crate::support::within_a_second;
use std::process::Command;
use std::time::Duration;
use tokenberg_testkit::{Line, Postgres, Wire, postgres_program, url_at};

/// Runs statements in a database, each for itself, and returns what they print.
pub fn sql(url: &str, statements: &str) -> String {
    try_sql(url, statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
}

/// The same for statements that may fail.
pub fn try_sql(url: &str, statements: &str) -> Result<String, String> {
    let mut command = Command::new(postgres_program("psql").expect("psql"));
    command.args(["-v", "ON_ERROR_STOP=1", "-qAt"]);
    for statement in statements.split(';') {
        command.args(["-c", statement]);
    }
    let said = command.arg(url).output().unwrap();
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into_owned());
    }
    Ok(String::from_utf8(said.stdout).unwrap().trim().to_owned())
}

/// A primary, a standby that follows it, and a line that leads clients to one of them.
pub struct Pair {
    pub postgres: Postgres,
    pub database: String,
    /// From clients to the database.
    pub wire: Wire,
    /// From the standby to the primary.
    pub replication: Wire,
    pub standby: u16,
}

impl Pair {
    /// `None`, and a line that says so, if the machine has no PostgreSQL.
    pub fn new() -> Option<Self> {
        let postgres = Postgres::separate()?;
        let database = postgres.database();
        let (wire, replication) = (Wire::to(postgres.port()), Wire::to(postgres.port()));
        let standby = postgres.replica(replication.port());
        Some(Self { postgres, database, wire, replication, standby })
    }

    /// The same with a primary that acknowledges what the standby has.
    pub fn synchronous() -> Option<Self> {
        let pair = Self::new()?;
        let admin = pair.postgres.url("postgres");
        sql(&admin, "ALTER SYSTEM SET synchronous_standby_names = 'standby'; SELECT pg_reload_conf()");
        let state = "SELECT sync_state FROM pg_stat_replication";
        within_a_second("the standby is synchronous", || sql(&admin, state) == "sync");
        Some(pair)
    }

    /// The address that leads to the primary.
    pub fn url(&self) -> String {
        url_at(self.wire.port(), &self.database)
    }

    pub fn cluster(&self) -> Cluster {
        Cluster::of(Site::on(Some(self.url())))
    }

    /// The standby receives nothing for so long.
    pub fn lag(&self, lag: Duration) {
        self.replication.set(Line::Stalled);
        std::thread::sleep(lag);
    }

    /// The primary is gone, and a second later the standby takes its place.
    pub fn fail_over(&self) {
        self.postgres.stop("immediate");
        std::thread::sleep(Duration::from_secs(1));
        self.take_over();
    }

    /// The standby takes the place of the primary, which goes on without clients.
    pub fn take_over(&self) {
        self.postgres.promote();
        self.wire.lead_to(self.standby);
    }
}
