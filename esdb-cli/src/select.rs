//! Which events: the selectors that all verbs share.

use std::ffi::OsString;
use std::ops::Bound;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{ArgGroup, Args};
use esdb_format::{Reader, Scan};

use crate::args::Usage;
use crate::outcome::Failure;
use crate::text::quote;
use crate::times::Instant;
use crate::times::bound::TimeArg;

/// Space, grouping, index values and time.
///
/// Arguments are taken as bytes. What can not be typed is given in base64.
#[derive(Args, Clone, Debug, Default)]
#[command(group = ArgGroup::new("one_space").args(["space", "space_base64"]))]
#[command(group = ArgGroup::new("one_grouping").args(["grouping", "grouping_base64"]).requires("one_space"))]
pub(crate) struct SelectArgs {
    /// Only the events of this space
    #[arg(short, long, value_name = "SPACE", allow_hyphen_values = true, help_heading = "Selection")]
    space: Option<OsString>,

    /// Only the events of this grouping; needs --space
    #[arg(short, long, value_name = "GROUPING", allow_hyphen_values = true, help_heading = "Selection")]
    grouping: Option<OsString>,

    /// Only the events with this index value. The name ends at the first `=`. Repeatable: several values of
    /// one name mean any of them, several names all of them
    #[arg(short, long, value_name = "NAME=VALUE", allow_hyphen_values = true, help_heading = "Selection")]
    index: Vec<OsString>,

    /// Only the events at or after this time
    #[arg(short = 'S', long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Selection")]
    since: Option<TimeArg>,

    /// Only the events before this time
    #[arg(short = 'U', long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Selection")]
    until: Option<TimeArg>,

    /// The space in base64
    #[arg(long, value_name = "BASE64", value_parser = parse_base64, help_heading = "Selection")]
    space_base64: Option<Base64>,

    /// The grouping in base64
    #[arg(long, value_name = "BASE64", value_parser = parse_base64, help_heading = "Selection")]
    grouping_base64: Option<Base64>,

    /// An index value, its name and itself in base64
    #[arg(long, value_name = "NAME:VALUE", value_parser = parse_pair, help_heading = "Selection")]
    index_base64: Vec<Pair>,
}

/// Bytes that were written in base64.
#[derive(Clone, Debug)]
pub(crate) struct Base64(pub(crate) Vec<u8>);

#[derive(Clone, Debug)]
struct Pair(Vec<u8>, Vec<u8>);

pub(crate) fn parse_base64(text: &str) -> Result<Base64, String> {
    BASE64.decode(text).map(Base64).map_err(|error| format!("not base64: {error}"))
}

fn parse_pair(text: &str) -> Result<Pair, String> {
    let (name, value) = text.split_once(':').ok_or("a colon stands between name and value")?;
    Ok(Pair(parse_base64(name)?.0, parse_base64(value)?.0))
}

impl SelectArgs {
    /// The scan of the selected events. `path` names the file in messages.
    ///
    /// # Errors
    ///
    /// A pair without `=`, or a time that is out of range in the file's unit.
    pub(crate) fn scan(&self, file: &Reader, path: &Path) -> Result<Scan, Failure> {
        let mut scan = match either(&self.space, &self.space_base64) {
            Some(space) => file.space(space).map_err(Failure::of(path))?,
            None => file.scan(),
        };
        if let Some(grouping) = either(&self.grouping, &self.grouping_base64) {
            scan = scan.grouping(grouping);
        }
        for pair in &self.index {
            let (name, value) = split_pair(pair.as_encoded_bytes())?;
            scan = scan.index(name, value);
        }
        for Pair(name, value) in &self.index_base64 {
            scan = scan.index(name, value);
        }
        let now = Instant::now();
        let resolve = |flag: &str, time: &Option<TimeArg>| {
            let time = time.as_ref().map(|time| time.resolve(file.unit(), now)).transpose();
            time.map_err(|error| Usage(format!("{flag}: {error}")))
        };
        let since = resolve("--since", &self.since)?.map_or(Bound::Unbounded, Bound::Included);
        let until = resolve("--until", &self.until)?.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(scan.range((since, until)))
    }
}

fn either<'a>(plain: &'a Option<OsString>, base64: &'a Option<Base64>) -> Option<&'a [u8]> {
    let plain = plain.as_ref().map(|plain| plain.as_encoded_bytes());
    plain.or(base64.as_ref().map(|Base64(bytes)| bytes.as_slice()))
}

/// Splits `NAME=VALUE` at the first `=`.
fn split_pair(pair: &[u8]) -> Result<(&[u8], &[u8]), Usage> {
    let Some(equals) = memchr::memchr(b'=', pair) else {
        return Err(Usage(format!("--index {} is not NAME=VALUE", quote(pair))));
    };
    let (name, value) = pair.split_at(equals);
    Ok((name, value.get(1..).unwrap_or_default()))
}

/// The space that some listings are about.
#[derive(Args, Clone, Debug)]
#[group(multiple = false)]
pub(crate) struct SpaceArgs {
    /// The space
    #[arg(short, long, value_name = "SPACE", allow_hyphen_values = true)]
    space: Option<OsString>,

    /// The space in base64
    #[arg(long, value_name = "BASE64", value_parser = parse_base64)]
    space_base64: Option<Base64>,
}

impl SpaceArgs {
    pub(crate) fn space(&self) -> Option<&[u8]> {
        either(&self.space, &self.space_base64)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Command {
        #[command(flatten)]
        select: SelectArgs,
    }

    fn refused(line: &[&str]) -> String {
        let words = std::iter::once(&"scan").chain(line);
        Command::try_parse_from(words).expect_err("refused").to_string()
    }

    fn parsed(line: &[&str]) -> SelectArgs {
        Command::try_parse_from(std::iter::once(&"scan").chain(line)).expect("flags").select
    }

    #[test]
    fn selectors_that_do_not_fit_together_are_refused() {
        assert!(refused(&["-s", "a", "-s", "b"]).contains("cannot be used multiple times"));
        assert!(refused(&["-s", "a", "--space-base64", "YQ=="]).contains("cannot be used with"));
        assert!(refused(&["-g", "a"]).contains("were not provided"));
        assert!(refused(&["--grouping-base64", "YQ=="]).contains("were not provided"));
        assert!(refused(&["--space-base64", "Y"]).contains("not base64"));
        assert!(refused(&["--index-base64", "YQ=="]).contains("a colon stands between"));
    }

    #[test]
    fn values_may_be_empty_or_begin_with_a_hyphen() {
        let args = parsed(&["-s", "", "-g", "-1", "-i", "-n=-v", "-S", "-7d", "-U", "-1"]);
        assert_eq!(either(&args.space, &args.space_base64), Some(&b""[..]));
        assert_eq!(either(&args.grouping, &args.grouping_base64), Some(&b"-1"[..]));
        assert_eq!(args.index, ["-n=-v"]);
        let args = parsed(&["--space-base64", "/w==", "-g", "x"]);
        assert_eq!(either(&args.space, &args.space_base64), Some(&b"\xff"[..]));
    }

    #[test]
    fn names_end_at_the_first_equals_sign() {
        assert_eq!(split_pair(b"a=b=c"), Ok((&b"a"[..], &b"b=c"[..])));
        assert_eq!(split_pair(b"a="), Ok((&b"a"[..], &b""[..])));
        assert_eq!(split_pair(b"="), Ok((&b""[..], &b""[..])));
        assert_eq!(split_pair(b"a").expect_err("no ="), Usage("--index \"a\" is not NAME=VALUE".into()));
    }
}
