//! Along which index a page of the log is found.

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccount;
use counterfoil_projections::event_subject::actor_text;
use cqrs_es::Aggregate as _;
use ipnet::IpNet;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{EventFilter, PageOrder};

/// What a page is asked for by, as the parameters of its statement.
pub(super) struct PageQuery<'a> {
    filter: &'a EventFilter,
    order: PageOrder,
    account: Option<Uuid>,
    types: Option<&'a [String]>,
    actor: Option<String>,
    addresses: Option<(IpAddr, IpAddr)>,
    bounds: PageBounds,
}

/// After which number a page begins, up to which one it goes, and how many records it has at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageBounds {
    pub(super) after: i64,
    pub(super) up_to: i64,
    pub(super) limit: i64,
}

impl<'a> PageQuery<'a> {
    pub(super) fn new(filter: &'a EventFilter, order: PageOrder, bounds: PageBounds) -> Self {
        Self {
            filter,
            order,
            account: filter.account.map(|account| account.0),
            types: (!filter.types.is_empty()).then_some(&*filter.types),
            actor: filter.actor.as_ref().map(actor_text),
            addresses: filter.addresses.map(|network| (network.network(), network.broadcast())),
            bounds,
        }
    }

    /// The statement, and the values of its parameters.
    pub(super) fn statement(&self) -> (Cow<'static, str>, Vec<&(dyn ToSql + Sync)>) {
        let PageBounds { after, up_to, limit } = &self.bounds;
        let EventFilter { since, until, .. } = self.filter;
        let mut parameters: Vec<&(dyn ToSql + Sync)> =
            vec![&UserAccount::TYPE, after, up_to, since as &Option<DateTime<Utc>>, until, limit];
        let sql: Cow<'static, str> = if self.filter.needs_subjects() {
            let addresses = self.addresses.as_ref();
            let first: &(dyn ToSql + Sync) = addresses.map_or(&None::<IpAddr>, |(first, _)| first);
            let last: &(dyn ToSql + Sync) = addresses.map_or(&None::<IpAddr>, |(_, last)| last);
            parameters.push(&self.types);
            match self.subject_index() {
                SubjectIndex::Account(account) => {
                    parameters.extend([&self.actor as &(dyn ToSql + Sync), first, last, account]);
                }
                SubjectIndex::Actor => parameters.extend([&self.actor as &(dyn ToSql + Sync), first, last]),
                SubjectIndex::Network(_) => parameters.extend([first, last]),
            }
            (self.subject_index().sql() + include_str!("sql/page_of_subjects.sql")).into()
        } else if let Some(account) = &self.account {
            parameters.extend([account as &(dyn ToSql + Sync), &self.types]);
            include_str!("sql/page_of_account.sql").into()
        } else if let Some(types) = &self.types {
            parameters.push(types);
            include_str!("sql/page_of_types.sql").into()
        } else {
            include_str!("sql/page_of_all.sql").into()
        };
        match self.order {
            PageOrder::OldestFirst => (sql, parameters),
            PageOrder::NewestFirst => (descending(&sql).into(), parameters),
        }
    }

    fn subject_index(&self) -> SubjectIndex<'_> {
        match (&self.account, &self.actor, self.filter.addresses) {
            (Some(account), _, _) => SubjectIndex::Account(account),
            (None, None, Some(network)) => SubjectIndex::Network(network),
            (None, _, _) => SubjectIndex::Actor,
        }
    }
}

/// Along which index of the subjects of events a page is found.
enum SubjectIndex<'a> {
    Account(&'a Uuid),
    Actor,
    Network(IpNet),
}

impl SubjectIndex<'_> {
    /// The part of the statement that finds the numbers of the page.
    fn sql(&self) -> String {
        match self {
            Self::Account(_) => include_str!("sql/subjects_by_account.sql").to_owned(),
            Self::Actor => include_str!("sql/subjects_by_actor.sql").to_owned(),
            Self::Network(network) => {
                let (column, length) = indexed_column(*network);
                let bound = |address| format!("network(set_masklen({address}::inet, {length}))");
                let sql = include_str!("sql/subjects_by_address.sql").replace("{network}", column);
                sql.replace("{first}", &bound("$8")).replace("{last}", &bound("$9"))
            }
        }
    }
}

/// The column of the networks that a network consists of, and how long they are.
fn indexed_column(network: IpNet) -> (&'static str, u8) {
    let (large, small) = match network {
        IpNet::V4(_) => (16, 24),
        IpNet::V6(_) => (32, 64),
    };
    match network.prefix_len() {
        length if length <= large => ("large_network", large),
        length if length <= small => ("small_network", small),
        _ => ("ip_address", network.max_prefix_len()),
    }
}

/// A statement of a page, the other way round: each of its orders stands in a line of its own.
fn descending(sql: &str) -> String {
    let turned = |line: &str| {
        let order = if line.trim_start().starts_with("ORDER BY") { " DESC" } else { "" };
        format!("{line}{order}\n")
    };
    sql.lines().map(turned).collect()
}
