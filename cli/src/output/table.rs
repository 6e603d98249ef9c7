use comfy_table::{Cell, ContentArrangement, Table, presets};

use super::Style;

/// Columns under their headings, two spaces apart. A terminal's width is kept by wrapping cells.
pub(crate) fn table(style: Style, headings: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut table = plain(style);
    table.set_header(headings);
    table.add_rows(rows);
    lines(&table)
}

/// Names and values of one thing, a line each.
pub(crate) fn details(style: Style, rows: impl IntoIterator<Item = (&'static str, Cell)>) -> String {
    let mut table = plain(style);
    table.add_rows(rows.into_iter().map(|(name, value)| vec![Cell::new(format!("{name}:")), value]));
    lines(&table)
}

fn plain(style: Style) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if style.colour {
        table.enforce_styling();
        table.style_text_only();
    } else {
        table.force_no_tty();
    }
    match style.width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}

/// Without the padding at either end, which would only be in the way.
fn lines(table: &Table) -> String {
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
        text.push('\n');
    }
    text
}
