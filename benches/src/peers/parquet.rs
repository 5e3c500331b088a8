//! Parquet by its crate: a column for each part of an event, in file order. It is built, and scanned whole.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{Answered, Build, Peer, Session, map, order};
use crate::events::Events;
use crate::question::{Question, Visitor};

pub(super) struct Parquet {
    name: &'static str,
    compression: Compression,
}

const BATCH: usize = 16_384;
/// Rows of a row group: what DuckDB makes.
const ROW_GROUP: usize = 122_880;

impl Parquet {
    pub(super) fn snappy() -> Self {
        Self { name: "parquet-snappy", compression: Compression::SNAPPY }
    }

    pub(super) fn zstd() -> Self {
        let level = ZstdLevel::try_new(3).unwrap_or_default();
        Self { name: "parquet-zstd", compression: Compression::ZSTD(level) }
    }
}

impl Peer for Parquet {
    fn name(&self) -> &'static str {
        self.name
    }

    fn build(&self, events: &Events, how: Build, path: &Path) -> Result<bool> {
        if how.threads > 1 {
            return Ok(false);
        }
        let names = events.index_names();
        let field =
            |name: &[u8], nullable| Field::new(String::from_utf8_lossy(name), DataType::Binary, nullable);
        let mut fields =
            vec![field(b"space", false), field(b"grouping", false), Field::new("ts", DataType::Int64, false)];
        fields.extend(names.iter().map(|name| field(name, true)));
        fields.push(field(b"data", false));
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(self.compression)
            .set_column_dictionary_enabled("data".into(), false)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        let mut writer =
            ArrowWriter::try_new(File::create_new(path)?, Arc::clone(&schema), Some(properties))?;
        for rows in order(events, how).chunks(BATCH) {
            let rows = || rows.iter().map(|&i| i as usize);
            let mut columns: Vec<ArrayRef> = vec![
                binary(rows().map(|i| Some(events.space(i)))),
                binary(rows().map(|i| Some(events.grouping(i)))),
                Arc::new(Int64Array::from_iter_values(rows().map(|i| events.timestamp(i)))),
            ];
            for name in &names {
                columns.push(binary(
                    rows().map(|i| events.pairs(i).find(|pair| pair.0 == *name).map(|pair| pair.1)),
                ));
            }
            columns.push(binary(rows().map(|i| Some(events.data(i)))));
            writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
        }
        writer.into_inner()?.sync_all()?;
        Ok(true)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Session>> {
        Ok(Box::new(Open(map(path)?)))
    }
}

fn binary<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> ArrayRef {
    let mut builder = BinaryBuilder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

struct Open(Bytes);

impl Session for Open {
    fn ask(&mut self, question: &Question, visitor: &mut Visitor) -> Result<Answered> {
        let Question::Scan = question else { return Ok(Answered::No) };
        let builder = ParquetRecordBatchReaderBuilder::try_new(self.0.clone())?;
        let data = ProjectionMask::columns(builder.parquet_schema(), ["data"]);
        for batch in builder.with_projection(data).with_batch_size(8_192).build()? {
            let batch = batch?;
            let column = batch.column(0).as_binary_opt::<i32>().context("data is not binary")?;
            column.iter().for_each(|data| visitor.event(data.unwrap_or_default()));
        }
        Ok(Answered::Yes)
    }
}
