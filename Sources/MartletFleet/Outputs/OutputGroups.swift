/// Who said the same: equal contents, each with all that have it under a folded node set, the largest group first.
///
///     for group in OutputGroups(results.successes.map { ($0.member.name, $0.value.text) }) {
///         print("\(group.nodes):\n\(group.content)")
///     }
public struct OutputGroups<Content: Hashable & Sendable>: Sendable {
    /// Those that have the same content.
    public struct Element: Sendable {
        /// What they have.
        public let content: Content
        /// Who they are, in their order.
        public let names: [String]
        /// Who they are, folded: `web[01-18]`.
        public let nodes: String
    }

    private let elements: [Element]

    /// Groups contents by whose they are. Of groups of one size the one that came first goes first.
    public init(_ contents: some Sequence<(String, Content)>) {
        var places: [Content: Int] = [:]
        var groups: [(content: Content, names: [String])] = []
        for (name, content) in contents {
            if let place = places[content] {
                groups[place].names.append(name)
            } else {
                places[content] = groups.count
                groups.append((content, [name]))
            }
        }
        elements = groups.enumerated()
            .sorted { ($1.element.names.count, $0.offset) < ($0.element.names.count, $1.offset) }
            .map { Element(content: $1.content, names: $1.names, nodes: NodeSet.fold($1.names)) }
    }
}

extension OutputGroups: RandomAccessCollection {
    /// 0.
    public var startIndex: Int { 0 }
    /// How many different contents there are.
    public var endIndex: Int { elements.count }
    /// The largest is at 0.
    public subscript(position: Int) -> Element { elements[position] }
}

extension OutputGroups where Content: StringProtocol {
    /// How each smaller group's content differs from the largest group's, line by line.
    public func differences(context: Int = 3) -> [(group: Element, difference: LineDifference)] {
        guard let majority = first else { return [] }
        let lines = majority.content.lines
        return dropFirst().map { ($0, LineDifference(from: lines, to: $0.content.lines, context: context)) }
    }
}

extension StringProtocol {
    fileprivate var lines: [String] {
        var lines = split(omittingEmptySubsequences: false) { $0.isNewline }.map { String($0) }
        if lines.last == "" { lines.removeLast() }
        return lines
    }
}
