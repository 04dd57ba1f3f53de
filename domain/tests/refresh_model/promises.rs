//! What must hold after every commit, by any client, and what must be seen to happen.

use chrono::TimeDelta;
use stateright::Property;

use crate::world::{GRACE, Model, Refresh, Request, World};

impl Refresh {
    fn is_by_newest(&self) -> bool {
        self.token == self.before.newest.generation.0
    }

    fn is_by_parent(&self) -> bool {
        self.token + 1 == self.before.newest.generation.0
    }

    fn is_in_grace(&self) -> bool {
        self.asked_at < self.before.newest.issued_at + TimeDelta::seconds(GRACE.into())
    }

    fn is_honest(&self) -> bool {
        self.is_by_newest() || self.is_by_parent() && self.is_in_grace()
    }
}

fn always(name: &'static str, holds: fn(&Model, &World) -> bool) -> Property<Model> {
    Property::always(name, holds)
}

fn sometimes(name: &'static str, holds: fn(&Model, &World) -> bool) -> Property<Model> {
    Property::sometimes(name, holds)
}

/// Whether it holds of the refresh whose commit led here, if one did.
fn of_last(world: &World, holds: impl Fn(&Refresh) -> bool) -> bool {
    world.last.as_ref().is_none_or(|refresh| holds(refresh))
}

/// Whether a refresh led here that this holds of.
fn by_last(world: &World, holds: impl Fn(&Refresh) -> bool) -> bool {
    world.last.as_ref().is_some_and(|refresh| holds(refresh))
}

/// Holds for clients of every kind.
pub(crate) fn of_every_log() -> Vec<Property<Model>> {
    vec![
        always("a generation is made once, of its parent", |_, world| {
            of_last(world, |refresh| {
                let next = refresh.before.newest.generation.next();
                refresh.made().is_none_or(|made| refresh.is_by_newest() && made.generation == next)
            })
        }),
        always("who gets tokens gets the newest, as they were first given", |_, world| {
            of_last(world, |refresh| {
                let newest = refresh.made().unwrap_or_else(|| refresh.before.newest.clone());
                refresh.given().is_none_or(|given| given == newest)
            })
        }),
        always("the newest token, and its parent in the grace, get tokens", |_, world| {
            of_last(world, |refresh| {
                !refresh.is_honest() || refresh.given().is_some() && !refresh.ends_the_session()
            })
        }),
        always("any other token gets none and ends the session", |_, world| {
            of_last(world, |refresh| {
                refresh.is_honest() || refresh.given().is_none() && refresh.ends_the_session()
            })
        }),
        always("no client is refused without a word while the session lasts", |_, world| !world.turned_away),
        always("nothing follows the session's end", |_, world| {
            of_last(world, |refresh| !refresh.before.ended)
        }),
        always("time is never before it was asked, nor goes back", |_, world| {
            of_last(world, |refresh| {
                let earliest = refresh.asked_at.max(refresh.before.at);
                refresh.events.iter().all(|event| event.at >= earliest)
            })
        }),
        sometimes("a lost answer is given again", |_, world| {
            by_last(world, |refresh| refresh.is_by_parent() && refresh.given().is_some())
        }),
        sometimes("a decision is overtaken by a commit", |_, world| {
            let stale = |request: &Request| request.on.number < world.head.number;
            world.requests.iter().any(stale)
        }),
        sometimes("what a crashed node sent can still arrive", |_, world| {
            world.requests.iter().any(|request| request.node.is_none())
        }),
        sometimes("the third generation is lost and given again", |_, world| {
            by_last(world, |refresh| {
                refresh.is_by_parent() && refresh.given().is_some_and(|given| given.generation.0 == 3)
            })
        }),
    ]
}

/// Happens where a token has several holders.
pub(crate) fn reached_among_many() -> Vec<Property<Model>> {
    vec![
        sometimes("a parent comes after the grace", |_, world| {
            by_last(world, |refresh| refresh.is_by_parent() && !refresh.is_in_grace())
        }),
        sometimes("a parent comes in the grace, after its child was used", |_, world| {
            let is_grandparent = |refresh: &Refresh| refresh.token + 2 == refresh.before.newest.generation.0;
            by_last(world, |refresh| is_grandparent(refresh) && refresh.is_in_grace())
        }),
        sometimes("a decision is overtaken by the session's end", |_, world| {
            by_last(world, Refresh::ends_the_session) && !world.requests.is_empty()
        }),
    ]
}

/// Holds for a client that is the only one, and asks again in time.
pub(crate) fn of_a_patient_client() -> Vec<Property<Model>> {
    vec![always("a patient client stays signed in", |_, world| {
        of_last(world, |refresh| !refresh.ends_the_session())
    })]
}
