//! Lists of the API as the commands print them: of all of them, a part that is asked for, in the form that is asked for.

use clap::Args;
use serde_json::Value;

use super::client::{StaffClient, StaffRequest};
use super::intervention::ReadReason;
use super::{Failure, output};

/// How many items are printed where nothing is said.
const USUAL: usize = 50;

/// Which part of a list is printed, and how.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// After which item the list goes on: `next` of the JSON before it.
    #[arg(long, allow_hyphen_values = true)] // one cursor in 64 begins with a hyphen
    cursor: Option<String>,
    #[command(flatten)]
    why: ReadReason,
    #[command(flatten)]
    extent: output::ListExtent,
    #[command(flatten)]
    form: output::ListFormat,
}

impl ListArguments {
    /// Asks for the list, and prints the part of it.
    ///
    /// # Errors
    /// When the API refuses the list, or the standard output cannot be written to.
    pub async fn print<const N: usize>(
        self,
        client: &StaffClient,
        request: StaffRequest,
        headings: [&str; N],
        cells: impl Fn(&Value) -> [String; N],
    ) -> Result<(), Failure> {
        let most = self.extent.most(USUAL, self.form.is_whole());
        let (items, next) = client.list(&request.because(self.why.reason()), most, self.cursor).await?;
        let next = next.as_str().map(str::to_owned);
        Ok(self.form.part(headings, &output::ListPart { items, next }, cells)?)
    }
}
