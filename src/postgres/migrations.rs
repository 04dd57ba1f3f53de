//! The schema, brought up to date by the files of the `migrations` folder.

use std::borrow::Cow;

use deadpool_postgres::Client;
use rust_embed::RustEmbed;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio_postgres::Error;

use crate::postgres::{ConnectionTarget, DatabaseError};

#[derive(RustEmbed)]
#[folder = "migrations"]
#[include = "*.sql"]
struct MigrationFiles;

/// What the role `{role}` of the server may do, a statement a line: it adds to the log and can neither change nor remove
/// what is there, and alters no schema. All is taken away first, so that it is this and nothing more.
const GRANTS: &str = include_str!("grants.sql");

/// "counterf": one at a time migrates a database and gives what is needed in it.
const LOCK: i64 = 0x636f_756e_7465_7266;

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// There is no connection.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database was migrated by a newer version, a migration that was applied has been edited since, the server's role
    /// does not exist, or the connection was lost.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

/// Applies what is missing, as the role of `url`; where the server has a role of its own, gives it what it needs. Nodes
/// that start together wait for each other.
///
/// # Errors
/// [`MigrationError`].
pub async fn migrate(url: &str, server_role: Option<&str>) -> Result<(), MigrationError> {
    // A connection of its own, closed whatever happens: the lock is held by the connection, and a failed run would
    // otherwise keep it.
    let target = ConnectionTarget::parse(url)?;
    target.refuse_transaction_pooling().await?;
    let options = target.sqlx_options().await?;
    let mut connection = options.connect().await.map_err(MigrateError::from)?;
    let result = migrate_and_grant(&mut connection, server_role).await;
    connection.close().await.map_err(MigrateError::from)?;
    Ok(result?)
}

async fn migrate_and_grant(
    connection: &mut PgConnection,
    server_role: Option<&str>,
) -> Result<(), MigrateError> {
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut *connection).await?;
    migrator().run_direct(&mut *connection).await?;
    if let Some(role) = server_role {
        let quoted: String =
            sqlx::query_scalar("SELECT quote_ident($1)").bind(role).fetch_one(&mut *connection).await?;
        let mut grants = connection.begin().await?;
        for grant in GRANTS.replace("{role}", &quoted).lines() {
            sqlx::query(grant).execute(&mut *grants).await?;
        }
        grants.commit().await?;
    }
    Ok(())
}

/// Whether the role of this connection could alter events that are stored: it owns them, or was given more than
/// [`migrate`] gives.
///
/// # Errors
/// When the database is away.
pub async fn could_alter_events(client: &Client) -> Result<bool, Error> {
    let sql = "SELECT has_table_privilege('events', 'UPDATE, DELETE, TRUNCATE')";
    client.query_one(sql, &[]).await?.try_get(0)
}

/// Whether the database has every migration, and none that this version does not know.
///
/// # Errors
/// When the database is away.
pub async fn are_current(client: &Client) -> Result<bool, Error> {
    let sql = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[]).await?;
    let applied: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let known: Vec<i64> = migrator().iter().map(|migration| migration.version).collect();
    Ok(applied == known)
}

fn migrator() -> Migrator {
    let mut migrations: Vec<Migration> = MigrationFiles::iter().filter_map(|name| migration(&name)).collect();
    migrations.sort_by_key(|migration| migration.version);
    // The lock is ours, around the grants as well.
    Migrator { migrations: Cow::Owned(migrations), locking: false, ..Migrator::DEFAULT }
}

/// The migration of a file `NNNN_what_it_makes.sql`.
fn migration(name: &str) -> Option<Migration> {
    let (version, description) = name.strip_suffix(".sql")?.split_once('_')?;
    let sql = String::from_utf8(MigrationFiles::get(name)?.data.into_owned()).ok()?;
    let description = description.replace('_', " ");
    Some(Migration::new(version.parse().ok()?, description.into(), MigrationType::Simple, sql.into(), false))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_file_is_a_migration_and_no_number_is_used_twice() {
        let versions: Vec<i64> = super::migrator().iter().map(|migration| migration.version).collect();
        assert!(versions.is_sorted_by(|earlier, later| earlier < later), "{versions:?}");
        assert_eq!(versions.len(), super::MigrationFiles::iter().count());
    }
}
