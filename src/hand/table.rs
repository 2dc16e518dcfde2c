//! Tables as docker prints them: columns three spaces apart, the last one not filled up.

/// Spaces between two columns.
const PADDING: usize = 3;
/// Least width of a column with its padding.
const MIN_WIDTH: usize = 10;

/// Rows of cells.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts a table with the names of its columns.
    pub(crate) fn new<'c>(columns: impl IntoIterator<Item = &'c str>) -> Table {
        Table { rows: vec![columns.into_iter().map(str::to_owned).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Returns the text.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            // The last cell of a row stands alone and makes no column wider.
            let cells = self.rows.iter().filter(|row| column + 1 < row.len()).map(|row| row[column].chars().count());
            cells.max().map_or(0, |longest| (longest + PADDING).max(MIN_WIDTH))
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                match column + 1 == row.len() {
                    true => text.push_str(cell),
                    false => text.push_str(&format!("{cell:<width$}", width = widths[column])),
                }
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_as_in_docker() {
        let mut table = Table::new(["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
        table.row(["debian", "bookworm", "4eacea30377a", "8 days ago", "124MB"].map(str::to_owned).to_vec());
        assert_eq!(
            table.text(),
            "REPOSITORY   TAG        IMAGE ID       CREATED      SIZE\ndebian       bookworm   4eacea30377a   8 days ago   124MB\n"
        );
    }
}
