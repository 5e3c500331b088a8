//! `esdb indexes`: which index names there are, or which values a name has.

use std::ffi::OsString;

use esdb_format::{Extent, IndexValues, Reader};

use crate::files::FileArg;
use crate::outcome::{Failure, Outcome};
use crate::output::listing::Listing;
use crate::select::{Base64, SpaceArgs, parse_base64};

/// List the index names, or the values of one, with counts and times
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  esdb indexes activity.esdb
  esdb indexes activity.esdb type -s customer-1

The count of a name is that of its entries: an event with two values counts twice. Keys are in the order \
of their bytes. Only the tables are read.")]
pub(crate) struct Args {
    #[command(flatten)]
    file: FileArg,

    /// The index whose values to list
    #[arg(value_name = "NAME")]
    name: Option<OsString>,

    /// The index, its name in base64
    #[arg(long, value_name = "BASE64", value_parser = parse_base64, conflicts_with = "name")]
    name_base64: Option<Base64>,

    #[command(flatten)]
    of: SpaceArgs,

    /// Print a JSON object per line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let file = args.file.open()?;
    let failure = args.file.failure();
    let plain = args.name.as_ref().map(|name| name.as_encoded_bytes());
    match plain.or(args.name_base64.as_ref().map(|Base64(name)| name.as_slice())) {
        Some(name) => {
            let mut listing = Listing::new("value", None, file.unit(), args.json);
            for value in values(&file, name, args.of.space()).map_err(&failure)? {
                let value = value.map_err(&failure)?;
                listing.row(&value.key, 0, value.extent)?;
            }
            listing.finish()?;
        }
        None => {
            let mut listing = Listing::new("index", Some("values"), file.unit(), args.json);
            for name in file.index_names() {
                let name = name.map_err(&failure)?;
                let found = match args.of.space() {
                    None => Some((name.values, name.extent)),
                    Some(space) => in_space(&file, &name.key, space).map_err(&failure)?,
                };
                if let Some((values, extent)) = found {
                    listing.row(&name.key, values, extent)?;
                }
            }
            listing.finish()?;
        }
    }
    Ok(Outcome::Done)
}

fn values(file: &Reader, name: &[u8], space: Option<&[u8]>) -> esdb_format::Result<IndexValues> {
    match space {
        Some(space) => file.index_values_in(name, space),
        None => file.index_values(name),
    }
}

/// How many values of a name a space has, and the extent of their entries; none if it has none.
fn in_space(file: &Reader, name: &[u8], space: &[u8]) -> esdb_format::Result<Option<(u64, Extent)>> {
    let mut found: Option<(u64, Extent)> = None;
    for value in file.index_values_in(name, space)? {
        let extent = value?.extent;
        found = Some(match found {
            None => (1, extent),
            Some((values, sum)) => (
                values + 1,
                Extent {
                    count: sum.count + extent.count,
                    first: sum.first.min(extent.first),
                    last: sum.last.max(extent.last),
                },
            ),
        });
    }
    Ok(found)
}
