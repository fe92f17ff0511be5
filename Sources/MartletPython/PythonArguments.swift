/// What a call brings: a list of arguments and a map of keyword arguments.
package struct PythonArguments: Encodable, Sendable {
    package var positional: [any Encodable & Sendable]
    package var keywords: [String: any Encodable & Sendable]

    package init(positional: [any Encodable & Sendable], keywords: [String: any Encodable & Sendable]) {
        (self.positional, self.keywords) = (positional, keywords)
    }

    private struct Keyword: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        var list = container.nestedUnkeyedContainer()
        for value in positional { try list.encode(value) }
        var map = container.nestedContainer(keyedBy: Keyword.self)
        for (name, value) in keywords { try map.encode(value, forKey: Keyword(stringValue: name)) }
    }
}

/// A result that nobody wants.
struct NoResult: Decodable {
    init(from decoder: any Decoder) {}
}
