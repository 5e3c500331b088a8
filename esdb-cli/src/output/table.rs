//! A table whose columns are as wide as their widest cell.

/// Which end of a cell touches its column's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of cells, held until all widths are known.
pub(crate) struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = Align>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Appends the rows, two blanks between columns and none at the ends of lines.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let chars = |cell: &String| cell.chars().count();
        let width = |at: usize| self.rows.iter().filter_map(|row| row.get(at)).map(chars).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, align), width) in row.iter().zip(&self.columns).zip(&widths) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                match align {
                    Align::Left => line.push_str(&format!("{cell:<width$}")),
                    Align::Right => line.push_str(&format!("{cell:>width$}")),
                }
            }
            out.extend_from_slice(line.trim_end_matches(' ').as_bytes());
            out.push(b'\n');
        }
    }
}

/// A bar of up to `width` characters, in eighths of one; what is not zero can be seen.
pub(crate) fn bar(value: u64, most: u64, width: u64) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let share = u128::from(value) * u128::from(width) * 8 / u128::from(most.max(1));
    let eighths = usize::try_from(share).unwrap_or(0).max(usize::from(value > 0));
    format!("{}{}", "█".repeat(eighths / 8), PARTS.get(eighths % 8).unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new([Align::Left, Align::Right, Align::Left]);
        table.row(["type", "count", ""].map(str::to_owned));
        table.row(["é", "12", "x"].map(str::to_owned));
        let mut out = Vec::new();
        table.write(&mut out);
        assert_eq!(String::from_utf8(out).expect("UTF-8"), "type  count\né        12  x\n");
    }

    #[test]
    fn bars_are_in_proportion() {
        assert_eq!(bar(0, 10, 4), "");
        assert_eq!(bar(1, u64::MAX, 4), "▏");
        assert_eq!(bar(5, 10, 4), "██");
        assert_eq!(bar(u64::MAX, u64::MAX, 4), "████");
        assert_eq!(bar(0, 0, 4), "");
    }
}
