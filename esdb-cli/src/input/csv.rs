//! CSV with a header row, made events by a mapping.
//!
//! Quoting is RFC 4180's: a cell is quoted as a whole or not at all, a quote in it is doubled, and it may
//! hold line breaks. A quote inside an unquoted cell is an ordinary character. Lines end in `\n` or `\r\n`;
//! empty ones are skipped. A cell with nothing in it is absent.

mod row;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use esdb_format::EventBuf;

use self::row::Cells;
use super::errors::{Problem, Reason, RecordError};
use super::fill::{Pairs, check_data, check_key};
use super::lines::Lines;
use super::mapping::{Field, Mapping, missing};
use crate::json;
use crate::text::quote;

/// Reads rows.
pub(crate) struct Rows {
    mapping: Arc<Mapping>,
    cells: Cells,
    /// The columns of the header, as JSON strings with their colons. Empty when `--data` names a column.
    json_keys: Vec<Vec<u8>>,
    width: usize,
    columns: Columns,
}

/// The mapping's fields as columns.
struct Columns {
    space: Option<usize>,
    timestamp: usize,
    grouping: Option<usize>,
    indexes: Vec<usize>,
    data: Option<usize>,
}

impl Rows {
    /// Reads the header row from `lines`. None if there is not a single row.
    ///
    /// # Errors
    ///
    /// The header does not have what the mapping needs.
    pub(crate) fn open<R: Read>(
        lines: &mut Lines<R>,
        mapping: Arc<Mapping>,
        delimiter: u8,
    ) -> Result<Option<Self>, RecordError> {
        let mut rows = Self {
            cells: Cells::new(delimiter),
            json_keys: Vec::new(),
            width: 0,
            columns: Columns { space: None, timestamp: 0, grouping: None, indexes: Vec::new(), data: None },
            mapping,
        };
        if !rows.cells.read(lines)? {
            return Ok(None);
        }
        rows.width = rows.cells.len();
        let mapping = Arc::clone(&rows.mapping);
        let column = |field: &Field| rows.column(field);
        rows.columns = Columns {
            space: mapping.space.as_ref().map(column).transpose()?,
            timestamp: column(&mapping.timestamp)?,
            grouping: mapping.grouping.as_ref().map(column).transpose()?,
            indexes: mapping.indexes.iter().map(|(_, field)| column(field)).collect::<Result<_, _>>()?,
            data: mapping.data.as_ref().map(column).transpose()?,
        };
        if mapping.data.is_none() {
            rows.json_keys = rows.name_columns()?;
        }
        Ok(Some(rows))
    }

    /// Reads the next row into `event`. Returns false at the end.
    pub(crate) fn read<R: Read>(
        &mut self,
        lines: &mut Lines<R>,
        event: &mut EventBuf,
    ) -> Result<bool, RecordError> {
        if !self.cells.read(lines)? {
            return Ok(false);
        }
        if self.cells.len() != self.width {
            let message = format!("the row has {} columns, the header has {}", self.cells.len(), self.width);
            return Err(Problem::new(Reason::WrongColumnCount, 0, message).into());
        }
        self.fill(event)?;
        Ok(true)
    }

    fn fill(&self, event: &mut EventBuf) -> Result<(), Problem> {
        let (mapping, columns) = (&*self.mapping, &self.columns);
        event.space.clear();
        match columns.space.and_then(|column| self.cells.filled(column)) {
            None => mapping.use_default_space(&mut event.space)?,
            Some(cell) => event.space.extend_from_slice(cell),
        }
        check_key(&event.space, "space", 0)?;

        event.grouping.clear();
        let grouping = columns.grouping.and_then(|column| self.cells.filled(column));
        event.grouping.extend_from_slice(grouping.unwrap_or_default());
        check_key(&event.grouping, "grouping", 0)?;

        let cell = self.cells.filled(columns.timestamp);
        let cell = cell.ok_or_else(|| missing("timestamp", &mapping.timestamp, ""))?;
        let text = std::str::from_utf8(cell).map_err(|_| {
            Problem::new(Reason::InvalidUtf8, 0, format!("timestamp: {} is not UTF-8", quote(cell)))
        })?;
        event.timestamp = mapping.times.text(text).map_err(|error| Problem::time(error, 0))?;

        let mut pairs = Pairs::new(&mut event.indexes);
        for ((name, _), column) in mapping.indexes.iter().zip(&columns.indexes) {
            if let Some(cell) = self.cells.filled(*column) {
                let (pair_name, pair_value) = pairs.add();
                pair_name.extend_from_slice(name);
                pair_value.extend_from_slice(cell);
                check_key(cell, "index value", 0)?;
            }
        }
        pairs.finish();

        event.data.clear();
        match columns.data {
            // The header has the column, so a cell with nothing in it is data of no bytes.
            Some(column) => event.data.extend_from_slice(self.cells.get(column)),
            None => self.write_json(&mut event.data)?,
        }
        check_data(&event.data, mapping.max_data, 0)
    }

    /// The row as a JSON object of strings, in the header's order.
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), Problem> {
        let mut before = b'{';
        for (column, key) in self.json_keys.iter().enumerate() {
            let cell = self.cells.get(column);
            let text = std::str::from_utf8(cell).map_err(|_| {
                let message = format!(
                    "column {} is not UTF-8, so the row can not become JSON; --data can take one column as it is",
                    column + 1
                );
                Problem::new(Reason::InvalidUtf8, 0, message)
            })?;
            out.push(before);
            out.extend_from_slice(key);
            json::quote(text, out);
            before = b',';
        }
        out.push(b'}');
        Ok(())
    }

    /// The column that `field` names.
    fn column(&self, field: &Field) -> Result<usize, Problem> {
        let refuse = |message| Err(Problem::new(Reason::MissingValue, 0, message));
        if !field.inner.is_empty() {
            return refuse(format!("{field} points into a value; a CSV cell has no inside"));
        }
        let mut named = (0..self.width).filter(|column| self.cells.get(*column) == field.key);
        match (named.next(), named.next()) {
            (Some(column), None) => Ok(column),
            (Some(_), Some(_)) => refuse(format!("two columns are named {field}")),
            (None, _) => {
                const SHOWN: usize = 20;
                let names = (0..self.width.min(SHOWN)).map(|column| quote(self.cells.get(column)));
                let names = names.collect::<Vec<_>>().join(", ");
                let ellipsis = if self.width > SHOWN { ", …" } else { "" };
                refuse(format!("no column is named {field}; the header has {names}{ellipsis}"))
            }
        }
    }

    /// The header's names as keys of JSON objects.
    fn name_columns(&self) -> Result<Vec<Vec<u8>>, Problem> {
        const HINT: &str = "so rows can not become JSON objects; --data can take one column as it is";
        let mut keys = Vec::with_capacity(self.width);
        let mut seen = HashSet::new();
        for column in 0..self.width {
            let name = self.cells.get(column);
            let Ok(text) = std::str::from_utf8(name) else {
                let message = format!("the column name {} is not UTF-8, {HINT}", quote(name));
                return Err(Problem::new(Reason::InvalidUtf8, 0, message));
            };
            if !seen.insert(text) {
                let message = format!("two columns are named {}, {HINT}", quote(name));
                return Err(Problem::new(Reason::DuplicateKey, 0, message));
            }
            let mut key = Vec::new();
            json::quote(text, &mut key);
            key.push(b':');
            keys.push(key);
        }
        Ok(keys)
    }
}
