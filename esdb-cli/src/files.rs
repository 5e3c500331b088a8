//! Opening files to read, and what may be written where.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use clap::Args;
use esdb_format::{Reader, ReaderOptions};

use crate::outcome::Failure;
use crate::text::escape;

/// One file to read.
#[derive(Args, Clone, Debug)]
pub(crate) struct FileArg {
    /// File to read
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    how: ReadArgs,
}

/// How files are read.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReadArgs {
    /// Read by plain calls instead of through a map: slower, and safe if somebody may truncate the file
    #[arg(long, display_order = 900)]
    no_mmap: bool,
}

impl FileArg {
    /// # Errors
    ///
    /// The file can not be opened, is not an esdb file, or its end is damaged.
    pub(crate) fn open(&self) -> Result<Reader, Failure> {
        self.how.options().open(&self.file).map_err(Failure::of(&self.file))
    }

    /// Says of an error of the library that it is about this file.
    pub(crate) fn failure(&self) -> impl Fn(esdb_format::Error) -> Failure {
        Failure::of(&self.file)
    }
}

impl ReadArgs {
    pub(crate) fn options(&self) -> ReaderOptions {
        ReaderOptions::new().map(!self.no_mmap)
    }
}

/// Calls `each` with `path`; of a folder, with every file below it whose name ends in `.esdb`, in order of names. Links in a
/// folder are not followed, and what cannot be looked at is told in its place.
///
/// # Errors
///
/// Those of `each`.
pub(crate) fn find_files(
    path: &Path,
    each: &mut impl FnMut(Result<&Path, Failure>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if !path.is_dir() {
        return each(Ok(path));
    }
    // Folders and files of one level in reverse, so that the last one is the next.
    let mut waiting = vec![(path.to_owned(), true)];
    while let Some((path, is_folder)) = waiting.pop() {
        if !is_folder {
            each(Ok(&path))?;
            continue;
        }
        match entries(&path) {
            Ok(entries) => waiting.extend(entries.into_iter().rev()),
            Err(error) => each(Err(Failure::of_file(&path, &format!("cannot list: {error}"))))?,
        }
    }
    Ok(())
}

/// The folders, and the files whose names end in `.esdb`, of a folder, in order of names.
fn entries(folder: &Path) -> std::io::Result<Vec<(PathBuf, bool)>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() || (kind.is_file() && path.extension().is_some_and(|name| name == "esdb")) {
            entries.push((path, kind.is_dir()));
        }
    }
    entries.sort();
    Ok(entries)
}

/// Makes sure, before any work, that `output` is no input and that it may be replaced if it exists.
///
/// # Errors
///
/// It is one of `inputs`, is not a regular file, or exists without `force`.
pub(crate) fn check_output<'a>(
    output: &Path,
    force: bool,
    mut inputs: impl Iterator<Item = &'a Path>,
) -> Result<(), Failure> {
    let refuse = |reason: &str| Err(Failure::of_file(output, reason));
    if let Some(input) = inputs.find(|input| is_same_file(output, input)) {
        let input = escape(input.as_os_str().as_encoded_bytes());
        return refuse(&format!("the output is the same file as the input {input}"));
    }
    match output.metadata() {
        Ok(found) if found.is_dir() => refuse("is a directory"),
        Ok(found) if !found.is_file() => refuse("is not a regular file"),
        Ok(_) if !force => refuse("exists; --force replaces it"),
        _ => Ok(()),
    }
}

/// Whether two paths lead to one regular file, by name or as two names of it.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    if let (Ok(found), Ok(other_found)) = (one.metadata(), other.metadata()) {
        let same_path = one.canonicalize().ok() == other.canonicalize().ok();
        return found.is_file() && (same_path || is_same_inode(&found, &other_found));
    }
    // A file that is yet to be made: the folder exists, the name does not.
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some((folder.canonicalize().ok()?, path.file_name()?.to_owned()))
    };
    matches!((place(one), place(other)), (Some(one), Some(other)) if one == other)
}

#[cfg(unix)]
fn is_same_inode(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same_inode(_: &Metadata, _: &Metadata) -> bool {
    false
}
