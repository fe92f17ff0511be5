/// Columns of text, each as wide as its widest cell.
struct Table {
    private var rows: [[String]]
    private let rightAligned: Set<Int>

    init(_ head: [String], rightAligned: Set<Int> = []) {
        rows = [head]
        self.rightAligned = rightAligned
    }

    mutating func add(_ row: [String]) { rows.append(row) }

    /// The lines, the head first.
    var lines: [String] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
        return rows.map { row in
            let cells = row.indices.map { column in
                if rightAligned.contains(column) { return row[column].leftPadded(to: widths[column]) }
                return column == row.count - 1 ? row[column] : row[column].padded(to: widths[column])
            }
            return cells.joined(separator: "  ")
        }
    }
}
