/// How one way in is written in specs: its name, what stands behind the colon, and its options, each with where in the
/// connector it is kept. Each connector declares its own, beside itself; ``all`` is the table of those that Martlet brings.
///
///     extension Toolbox {
///         static let kind = ConnectorKind(
///             "toolbox", "into a toolbox", argument: .required("container"),
///             options: [.program("toolbox", \.program)]
///         ) {
///             Toolbox(container: $0.argument?.text ?? "")
///         } written: {
///             $0.container
///         }
///     }
///     let route = try RouteSpec("ssh:web1/toolbox:fedora", kinds: ConnectorKind.all + [Toolbox.kind])
public struct ConnectorKind: Sendable {
    /// What may stand behind the colon. The text says what it means: `[user@]host[:port]`.
    public enum Argument: Sendable, Hashable {
        /// Nothing.
        case none
        /// Something or nothing.
        case optional(String)
        /// Something.
        case required(String)

        /// What it means.
        public var meaning: String? {
            switch self {
            case .none: nil
            case .optional(let text), .required(let text): text
            }
        }
    }

    /// What the value of an option has to be. It is checked before the connector is made.
    public enum ValueType: Sendable, Hashable {
        /// No value: the option is there or not.
        case flag
        /// Anything but nothing.
        case text
        /// The path of a file or directory.
        case path
        /// A program by its path or its name in `PATH`. Its path may well end in the name of a way in.
        case program
        /// A whole number.
        case number(ClosedRange<Int>)
        /// One of these words.
        case choice([String])
        /// `NAME=value`; each name once.
        case assignment
    }

    /// An option.
    public struct Option: Sendable, Hashable {
        /// Lower-case letters, digits and dashes.
        public var name: String
        /// What its value has to be.
        public var type: ValueType
        /// What it does, for people: a few words.
        public var meaning: String
        /// Whether it may be given more than once.
        public var isRepeatable: Bool

        /// An option.
        public init(_ name: String, _ type: ValueType, _ meaning: String, isRepeatable: Bool = false) {
            self.name = name
            self.type = type
            self.meaning = meaning
            self.isRepeatable = isRepeatable
        }

        /// As it is written: `nice=-20…19`.
        public var form: String {
            switch type {
            case .flag: name
            case .text: "\(name)=TEXT"
            case .path: "\(name)=PATH"
            case .program: "\(name)=PROGRAM"
            case .number(let range): "\(name)=\(range.lowerBound)…\(range.upperBound)"
            case .choice(let words): "\(name)=\(words.joined(separator: "|"))"
            case .assignment: "\(name)=NAME=VALUE"
            }
        }
    }

    /// As it is written, without options: `ssh:[user@]host[:port]`.
    public var form: String {
        switch argument {
        case .none: name
        case .optional(let meaning): "\(name)[:\(meaning)]"
        case .required(let meaning): "\(name):\(meaning)"
        }
    }

    /// Lower-case letters, digits and dashes.
    public let name: String
    /// Where it leads, for people: a few words.
    public let summary: String
    /// What stands behind the colon.
    public let argument: Argument
    /// In the order in which they are listed.
    public let options: [Option]
    /// Words that are no options though people may think so, and what to write instead.
    public let hints: [String: String]
    /// Whether one is on the same machine still, with the same files.
    public let staysOnMachine: Bool

    let make: @Sendable (SpecReader) throws(SpecError) -> any Connector
    let take: @Sendable (any Connector) -> SpecParts?

    /// A way in.
    ///
    /// - Parameters:
    ///   - options: in the order in which they are listed, read and written.
    ///   - hints: by words that are no options, what to write instead: `["port": "write the port behind the host"]`.
    ///   - staysOnMachine: whether one is on the same machine still. Default: no.
    ///   - describes: which connectors of the type are of this kind. Default: all.
    ///   - make: a connector of what stands behind the colon; the options are read after it. Names and types of all were
    ///     checked. Throws what ``SpecReader/Text/error(_:at:advice:)`` makes.
    ///   - written: what stands behind the colon for a connector; `nil`: nothing.
    public init<C: Connector>(
        _ name: String,
        _ summary: String,
        argument: Argument,
        options: [SpecBinding<C>] = [],
        hints: [String: String] = [:],
        staysOnMachine: Bool = false,
        describes: @escaping @Sendable (C) -> Bool = { _ in true },
        make: @escaping @Sendable (SpecReader) throws(SpecError) -> C,
        written: @escaping @Sendable (C) -> String? = { _ in nil }
    ) {
        precondition(
            ([name] + options.map(\.option.name)).allSatisfy { SpecCharacters.isWord($0.unicodeScalars) },
            "\(name): the names of kinds and options are lower-case letters, digits and dashes")
        self.name = name
        self.summary = summary
        self.argument = argument
        self.options = options.map(\.option)
        self.hints = hints
        self.staysOnMachine = staysOnMachine
        self.make = { (reader) throws(SpecError) -> any Connector in
            var connector = try make(reader)
            for option in options { try option.read(reader, &connector) }
            return connector
        }
        take = { connector in
            guard let connector = connector as? C, describes(connector) else { return nil }
            var parts = SpecParts(argument: written(connector))
            for option in options { option.write(connector, &parts) }
            return parts
        }
    }

    func option(_ name: String) -> Option? { options.first { $0.name == name } }
}

/// What a connector is in words: what stands behind the colon, and the options in their order.
public struct SpecParts: Sendable {
    let argument: String?
    var options: [ConnectorSpec.Option] = []

    init(argument: String?) { self.argument = argument }

    /// Adds an option, unless the value is `nil`.
    public mutating func add(_ name: String, _ value: String?) {
        if let value { options.append(.init(name: name, value: value)) }
    }

    /// Adds an option without a value, if it is wanted.
    public mutating func add(flag name: String, _ isWanted: Bool) {
        if isWanted { options.append(.init(name: name, value: nil)) }
    }
}
