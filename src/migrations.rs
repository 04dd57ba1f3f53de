//! The schema, brought up to date by the files of the `migrations` folder.

use std::borrow::Cow;

use rust_embed::RustEmbed;
use sqlx::migrate::{Migrate as _, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Connection as _, PgConnection};

#[derive(RustEmbed)]
#[folder = "migrations"]
#[include = "*.sql"]
struct Files;

/// Applies what is missing. Nodes that start together wait for each other.
///
/// # Errors
/// When the database is away, was migrated by a newer version, or a migration that was applied has been edited since.
pub async fn migrate(url: &str) -> Result<(), MigrateError> {
    // A connection of its own, closed whatever happens: the lock is held by the connection, and a failed run would
    // otherwise keep it.
    let mut connection = PgConnection::connect(url).await?;
    let result = migrator().run_direct(&mut connection).await;
    connection.close().await?;
    result
}

/// Whether the database has every migration, and none that this version does not know.
///
/// # Errors
/// When the database is away.
pub async fn are_current(pool: &sqlx::PgPool) -> Result<bool, MigrateError> {
    let mut connection = pool.acquire().await?;
    let applied: Vec<i64> =
        connection.list_applied_migrations().await?.into_iter().map(|migration| migration.version).collect();
    let known: Vec<i64> = migrator().iter().map(|migration| migration.version).collect();
    Ok(applied == known)
}

fn migrator() -> Migrator {
    let mut migrations: Vec<Migration> = Files::iter().filter_map(|name| migration(&name)).collect();
    migrations.sort_by_key(|migration| migration.version);
    Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT }
}

/// The migration of a file `NNNN_what_it_makes.sql`.
fn migration(name: &str) -> Option<Migration> {
    let (version, description) = name.strip_suffix(".sql")?.split_once('_')?;
    let sql = String::from_utf8(Files::get(name)?.data.into_owned()).ok()?;
    let description = description.replace('_', " ");
    Some(Migration::new(version.parse().ok()?, description.into(), MigrationType::Simple, sql.into(), false))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_file_is_a_migration_and_no_number_is_used_twice() {
        let versions: Vec<i64> = super::migrator().iter().map(|migration| migration.version).collect();
        let expected: Vec<i64> = (1..).take(versions.len()).collect();
        assert_eq!(versions, expected);
        assert_eq!(versions.len(), super::Files::iter().count());
    }
}
