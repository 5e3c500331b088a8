//! `esdb groupings`: how the history of a space is clustered.

use crate::args::Usage;
use crate::files::FileArg;
use crate::outcome::{Failure, Outcome};
use crate::output::listing::Listing;
use crate::select::SpaceArgs;

/// List the groupings of a space, with counts and times
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Example:
  esdb groupings activity.esdb -s customer-1

Keys are in the order of their bytes. Only the tables are read.")]
pub(crate) struct Args {
    #[command(flatten)]
    file: FileArg,

    #[command(flatten)]
    of: SpaceArgs,

    /// Print a JSON object per line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let Some(space) = args.of.space() else {
        return Err(Usage("--space SPACE says whose groupings to list".to_owned()).into());
    };
    let file = args.file.open()?;
    let mut listing = Listing::new("grouping", None, file.unit(), args.json);
    for grouping in file.groupings(space).map_err(args.file.failure())? {
        let grouping = grouping.map_err(args.file.failure())?;
        listing.row(&grouping.key, 0, grouping.extent)?;
    }
    listing.finish()?;
    Ok(Outcome::Done)
}
