public import Martlet

/// Names of hosts, each once, in the order in which they were named.
///
///     let nodes = try NodeSet("web[01-20],db1!web[03-04]")
///     nodes.count         // 19
///     "\(nodes)"          // db1,web[01-02,05-20]
public struct NodeSet: Sendable {
    /// The names.
    public private(set) var names: [String]
    private var known: Set<String>

    /// Of names as they are, without any brackets.
    public init(_ names: some Sequence<String> = []) {
        (self.names, known) = ([], [])
        for name in names where known.insert(name).inserted { self.names.append(name) }
    }

    /// Reads an expression: names and patterns, from left to right.
    ///
    /// - `web[01-20,30]`, `rack[1-2]node[0-10/2]`: numbers, ranges, ranges with a step; several brackets are all combinations.
    /// - `a,b` or `a b`: both. `a!b`: without. `a&b`: what is in both. `a^b`: what is in one of them alone.
    /// - `@name`: a group; brackets in its name stand for several groups. `@*`: every host that is known.
    ///
    /// A name goes on behind a `?` until a comma or a blank, so that a spec's options need no care: `local?dir=/srv&nice=5`.
    ///
    /// - Parameter groups: the hosts of a group; `nil` if there is none of that name. `*` is asked as any name.
    /// - Throws: ``SpecError``, which points at the character: for what is no expression, a group that is not there, or more than
    ///   100,000 names.
    public init(
        _ text: String, groups: (String) throws(SpecError) -> [String]? = { (_) throws(SpecError) in nil }
    ) throws(SpecError) {
        var parser = NodeSetParser(text)
        self = try parser.set(groups)
    }

    /// Whether a name is there.
    public func contains(_ name: String) -> Bool { known.contains(name) }

    /// The names of both, this set's first.
    public func union(_ other: NodeSet) -> NodeSet { NodeSet(names + other.names) }
    /// The names that are in both.
    public func intersection(_ other: NodeSet) -> NodeSet { NodeSet(names.filter { other.known.contains($0) }) }
    /// The names that the other set does not have.
    public func subtracting(_ other: NodeSet) -> NodeSet { NodeSet(names.filter { !other.known.contains($0) }) }
    /// The names that are in one of both alone.
    public func symmetricDifference(_ other: NodeSet) -> NodeSet {
        subtracting(other).union(other.subtracting(self))
    }
}

extension NodeSet: Hashable {
    /// Whether both have the same names, in whatever order.
    public static func == (first: NodeSet, second: NodeSet) -> Bool { first.known == second.known }
    /// Of the names.
    public func hash(into hasher: inout Hasher) { hasher.combine(known) }
}

extension NodeSet: RandomAccessCollection {
    /// 0.
    public var startIndex: Int { 0 }
    /// How many names there are.
    public var endIndex: Int { names.count }
    /// By its place.
    public subscript(position: Int) -> String { names[position] }
}

extension NodeSet: CustomStringConvertible {
    /// Folded; see ``fold(_:)``.
    public var description: String { NodeSet.fold(names) }
}

extension SpecError.Code {
    /// There is no group of that name.
    public static let unknownGroup = SpecError.Code(rawValue: "unknownGroup")
}

/// Reads an expression of names.
struct NodeSetParser {
    private enum Operation {
        case union, difference, intersection, symmetricDifference

        init?(_ scalar: Unicode.Scalar) {
            switch scalar {
            case ",": self = .union
            case "!": self = .difference
            case "&": self = .intersection
            case "^": self = .symmetricDifference
            default: return nil
            }
        }
    }

    private let spec: [Unicode.Scalar]
    private var position = 0

    init(_ text: String) { spec = Array(text.unicodeScalars) }

    mutating func set(_ groups: (String) throws(SpecError) -> [String]?) throws(SpecError) -> NodeSet {
        var result: NodeSet?
        while true {
            let start = position
            let operation = try operation()
            guard position < spec.count else {
                if let operation, operation != .union { throw missing(start..<spec.count) }
                return result ?? NodeSet()
            }
            let term = try term(groups)
            guard let left = result else {
                if let operation, operation != .union {
                    throw SpecError(
                        .strayCharacter, "nothing stands before this", in: spec, at: start..<start + 1,
                        advice: "write what it is taken of: @*!web3")
                }
                result = term
                continue
            }
            result =
                switch operation ?? .union {
                case .union: left.union(term)
                case .difference: left.subtracting(term)
                case .intersection: left.intersection(term)
                case .symmetricDifference: left.symmetricDifference(term)
                }
            if result!.count > NodePattern.limit { throw NodePattern.tooMany(spec, 0..<spec.count) }
        }
    }

    /// What stands between two terms: blanks and commas join, and one of the others among them says more.
    private mutating func operation() throws(SpecError) -> Operation? {
        var found: Operation?
        while position < spec.count {
            if spec[position].properties.isWhitespace {
                found = found ?? .union
            } else if let operation = Operation(spec[position]) {
                if operation != .union {
                    if let found, found != .union {
                        throw SpecError(
                            .strayCharacter, "nothing stands between this and what is before it", in: spec,
                            at: position..<position + 1)
                    }
                    found = operation
                } else {
                    found = found ?? .union
                }
            } else {
                break
            }
            position += 1
        }
        return found
    }

    private mutating func term(_ groups: (String) throws(SpecError) -> [String]?) throws(SpecError) -> NodeSet {
        let start = position
        var depth = 0
        var hasOptions = false
        while position < spec.count {
            let scalar = spec[position]
            if scalar == "[" { depth += 1 }
            if scalar == "]" { depth = max(0, depth - 1) }
            if scalar == "?" { hasOptions = true }
            if depth == 0 {
                if scalar == "," || scalar.properties.isWhitespace { break }
                if !hasOptions, Operation(scalar) != nil { break }
            }
            position += 1
        }
        let range = start..<position
        guard depth == 0 else {
            throw SpecError(.badArgument, "these brackets do not close", in: spec, at: range)
        }
        guard spec[start] == "@" else { return NodeSet(try NodePattern.expand(spec[range], in: spec)) }
        guard range.count > 1 else { throw missing(range) }
        var names: [String] = []
        for name in try NodePattern.expand(spec[(start + 1)..<position], in: spec) {
            guard let members = try groups(name) else {
                throw SpecError(.unknownGroup, "there is no group \"\(name)\"", in: spec, at: range)
            }
            names += members
        }
        return NodeSet(names)
    }

    private func missing(_ range: Range<Int>) -> SpecError {
        SpecError(.empty, "a name is missing here", in: spec, at: range)
    }
}
