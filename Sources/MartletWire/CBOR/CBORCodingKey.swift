/// A key of a coding path that stands in no type's own list: an index, `super`, or what a map had.
struct CBORCodingKey: CodingKey, Hashable {
    var stringValue: String
    var intValue: Int?

    init(stringValue: String) {
        self.stringValue = stringValue
    }

    init(intValue: Int) {
        self.stringValue = String(intValue)
        self.intValue = intValue
    }

    init(index: Int) {
        self.stringValue = "Index \(index)"
        self.intValue = index
    }

    static let `super` = CBORCodingKey(stringValue: "super")
}

/// One step of a coding path, not yet made into a key: most paths are never looked at.
enum CBORPathStep {
    case root
    case index(Int)
    case key(any CodingKey)

    var codingKey: (any CodingKey)? {
        switch self {
        case .root: nil
        case .index(let index): CBORCodingKey(index: index)
        case .key(let key): key
        }
    }
}
