//! `esdb spaces`: whose histories are in a file.

use crate::files::FileArg;
use crate::outcome::{Failure, Outcome};
use crate::output::listing::Listing;

/// List the spaces, with counts and times
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Example:
  esdb spaces activity.esdb --json | jq -r 'select(.count > 100) | .space'

Keys are in the order of their bytes. Only the tables are read.")]
pub(crate) struct Args {
    #[command(flatten)]
    file: FileArg,

    /// Print a JSON object per line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let file = args.file.open()?;
    let mut listing = Listing::new("space", Some("groupings"), file.unit(), args.json);
    for space in file.spaces() {
        let space = space.map_err(args.file.failure())?;
        listing.row(&space.key, space.groupings, space.extent)?;
    }
    listing.finish()?;
    Ok(Outcome::Done)
}
