//! Where the bytes of a file are.

use esdb_format::Statistics;

/// The parts of a file in their order, with their bytes. Together they are the whole file.
pub(crate) fn sections(statistics: &Statistics, file_len: u64) -> [(&'static str, u64); 8] {
    let known = [
        ("data", statistics.frame_bytes),
        ("columns", statistics.column_bytes),
        ("time order", statistics.time_order_bytes),
        ("indexes", statistics.index_bytes),
        ("spaces", statistics.space_bytes),
        ("groupings", statistics.grouping_bytes),
        ("blocks", statistics.block_bytes),
    ];
    let sum = known.iter().fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    let [data, columns, time_order, indexes, spaces, groupings, blocks] = known;
    // Header, both copies of the dictionary, facts and footer.
    let rest = ("other", file_len.saturating_sub(sum));
    [data, columns, time_order, indexes, spaces, groupings, blocks, rest]
}
