/// Looks for a pattern in bytes that come in pieces of any size. A find is told once; what lies behind it is looked at anew.
///
/// For a text it keeps no more than may be the beginning of a find. For an expression it keeps ``window`` bytes: a find is not
/// longer than that, and each byte is looked at again only as often as pieces of less than the window come.
struct PatternScanner {
    static let window = 4096

    private let search: Search
    fileprivate var kept: [UInt8] = []
    /// Nothing has come before what is kept.
    private var isStart = true

    init(_ pattern: TextPattern) throws { search = try Search(pattern) }

    /// - Returns: how many finds ended in these bytes.
    mutating func receive(_ bytes: some Collection<UInt8>) -> Int {
        kept += bytes
        let (count, end) = search.finds(in: kept, isStart: isStart)
        let rest = kept[end...].suffix(search.reach ?? Self.window)
        if rest.startIndex > 0 { isStart = false }
        kept = Array(rest)
        return count
    }
}

extension PatternScanner {
    /// How many bytes it keeps.
    var keptCount: Int { kept.count }
}
