/// How a piece of text looks on a terminal that has colours; without, it stays as it is.
struct Style: Sendable {
    var isColoured: Bool

    func paint(_ text: String, _ code: String) -> String {
        isColoured ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
    }

    func good(_ text: String) -> String { paint(text, "32") }
    func bad(_ text: String) -> String { paint(text, "31") }
    func warning(_ text: String) -> String { paint(text, "33") }
    func heading(_ text: String) -> String { paint(text, "1") }
    func faint(_ text: String) -> String { paint(text, "2") }

    /// The same colour for a host wherever and whenever it is named. Red is for failures.
    func host(_ text: String, named name: String) -> String {
        let palette = ["36", "33", "35", "32", "34", "96", "93", "95", "92", "94"]
        var hash: UInt32 = 2_166_136_261
        for byte in name.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return paint(text, palette[Int(hash % UInt32(palette.count))])
    }
}
