//! Every problem there is stands in the document of the API's conventions, and has its words.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix_web::ResponseError as _;
use counterfoil::http::{Problem, StaffConflict};
use counterfoil::language::Language;
use counterfoil_domain::values::RuleName;

const DOCUMENT: &str = include_str!("../../../docs/api.md");

/// One of every variant, all of which have to be named, or it does not compile.
macro_rules! every {
    ($($variant:ident $(($value:expr))?),+ $(,)?) => {{
        let _: fn(&Problem) = |problem| match problem {
            // Its words are those of an embedding program.
            Problem::Own(_) => {}
            $(Problem::$variant { .. } => {})+
        };
        [$(Problem::$variant $(($value))?),+]
    }};
}

const WAIT: Duration = Duration::from_millis(1_500);

const RULE: RuleName = RuleName::parse("company_only").unwrap();

fn every() -> impl Iterator<Item = Problem> {
    let all = every!(
        InvalidFields(BTreeMap::new()),
        MalformedBody,
        UnsupportedMediaType,
        BodyTooLarge,
        BodyTooSlow,
        NotFound,
        NothingCounted,
        MethodNotAllowed(Vec::new()),
        Unauthenticated,
        InvalidAccessToken,
        AmbiguousCredentials,
        CrossSiteRequest,
        PreflightRefused,
        InvalidCode,
        TooManyTries(WAIT),
        TooManyRequests(WAIT),
        CodeTooSoon(WAIT),
        CodeQuotaSpent(WAIT),
        NoPendingCode,
        DeviceLimitReached,
        IdentifierTaken,
        LastIdentifier,
        Forbidden,
        RefusedByRule(RULE),
        SecondFactorRequired,
        FreshProofRequired,
        NoSecondFactor,
        OwnAccount,
        BlocksOneself,
        StaffConflict(StaffConflict::MoreMatched(1)),
        RebuildRunning,
        LogReadingRunning,
        RebuildNeedsOwner,
        InvalidToken,
        InvalidClient,
        UnauthorizedClient,
        MalformedForm,
        RuleUnavailable(RULE),
        Unavailable,
        Internal,
    );
    let of_staff = [
        StaffConflict::IdentifierHeld,
        StaffConflict::IdentifierNotHeld,
        StaffConflict::ProposalOpen,
        StaffConflict::OwnProposal,
    ];
    all.into_iter().chain(of_staff.map(Problem::StaffConflict))
}

#[test]
fn docs_api_lists_every_problem_code_and_no_other() {
    let told = every().map(|problem| {
        let response = problem.error_response();
        let waits = response.headers().contains_key("retry-after");
        (response.status().as_u16(), problem.code().to_owned(), waits)
    });
    let rows = DOCUMENT.lines().skip_while(|line| !line.starts_with("| Status")).skip(2);
    let written = rows.take_while(|line| line.starts_with('|')).map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[1].parse().unwrap(), cells[2].trim_matches('`').to_owned(), cells[3] == "yes")
    });
    let (told, written): (BTreeSet<_>, Vec<_>) = (told.collect(), written.collect());
    assert_eq!(written.len(), every().count());
    assert_eq!(written.into_iter().collect::<BTreeSet<(u16, String, bool)>>(), told);
}

#[test]
fn every_problem_has_its_text_in_every_language() {
    for language in ["en", "fa"].map(Language::negotiate) {
        let mut titles = BTreeSet::new();
        for problem in every() {
            let (title, detail) = (language.title(problem.code()), language.message(problem.code()));
            assert!(title != problem.code() && detail.contains(' '), "{problem}: {title}: {detail}");
            titles.insert(title);
        }
        assert_eq!(titles.len(), every().count(), "no two have the same title");
    }
}
