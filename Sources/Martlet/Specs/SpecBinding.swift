/// An option of a way in, and where in the connector it is kept: how it is read from a spec and written to one.
public struct SpecBinding<C: Connector>: Sendable {
    let option: ConnectorKind.Option
    let read: @Sendable (SpecReader, inout C) throws(SpecError) -> Void
    let write: @Sendable (C, inout SpecParts) -> Void

    /// An option that is like no other.
    ///
    /// - Parameters:
    ///   - read: changes the connector to what the option says, if it is there. Default: nothing; who makes the connector has
    ///     looked at it.
    ///   - write: adds the option, if the connector is not without it. Default: nothing.
    public init(
        _ option: ConnectorKind.Option,
        read: @escaping @Sendable (SpecReader, inout C) throws(SpecError) -> Void = { _, _ in },
        write: @escaping @Sendable (C, inout SpecParts) -> Void = { _, _ in }
    ) {
        self.option = option
        self.read = read
        self.write = write
    }

    /// A text.
    public static func text(
        _ name: String, _ property: any WritableKeyPath<C, String?> & Sendable, _ meaning: String
    ) -> SpecBinding {
        value(.init(name, .text, meaning), property)
    }

    /// The path of a file or directory.
    public static func path(
        _ name: String, _ property: any WritableKeyPath<C, String?> & Sendable, _ meaning: String
    ) -> SpecBinding {
        value(.init(name, .path, meaning), property)
    }

    /// The text of an option of whatever type.
    static func value(
        _ option: ConnectorKind.Option, _ property: any WritableKeyPath<C, String?> & Sendable
    ) -> SpecBinding {
        SpecBinding(option) { spec, connector in
            connector[keyPath: property] = spec[option.name]?.text
        } write: { connector, parts in
            parts.add(option.name, connector[keyPath: property])
        }
    }

    /// `program`: the program that leads there, written unless it is `standard`, which connectors are made with.
    ///
    /// - Parameter meaning: Default: the program of this name.
    public static func program(
        _ standard: String, _ property: any WritableKeyPath<C, String> & Sendable, _ meaning: String? = nil
    ) -> SpecBinding {
        SpecBinding(.init("program", .program, meaning ?? "the \(standard) program")) { spec, connector in
            if let program = spec["program"] { connector[keyPath: property] = program.text }
        } write: { connector, parts in
            let program = connector[keyPath: property]
            if program != standard { parts.add("program", program) }
        }
    }

    /// An option without a value.
    ///
    /// - Parameter value: what the property is where the option stands.
    public static func flag(
        _ name: String, _ property: any WritableKeyPath<C, Bool> & Sendable, _ meaning: String, value: Bool = true
    ) -> SpecBinding {
        SpecBinding(.init(name, .flag, meaning)) { spec, connector in
            if spec.has(name) { connector[keyPath: property] = value }
        } write: { connector, parts in
            parts.add(flag: name, connector[keyPath: property] == value)
        }
    }

    /// A number such as those of users and groups.
    public static func number(
        _ name: String, _ property: any WritableKeyPath<C, UInt32?> & Sendable, _ meaning: String
    ) -> SpecBinding {
        SpecBinding(.init(name, .number(0...Int(UInt32.max)), meaning)) { spec, connector in
            connector[keyPath: property] = spec.number(name).map { UInt32($0) }
        } write: { connector, parts in
            parts.add(name, connector[keyPath: property].map { "\($0)" })
        }
    }

    /// Texts, each an option of its own.
    public static func list(
        _ name: String, _ property: any WritableKeyPath<C, [String]> & Sendable, _ meaning: String
    ) -> SpecBinding {
        SpecBinding(.init(name, .text, meaning, isRepeatable: true)) { spec, connector in
            connector[keyPath: property] = spec.all(name).map(\.text)
        } write: { connector, parts in
            for value in connector[keyPath: property] { parts.add(name, value) }
        }
    }

    /// `NAME=value`, each an option of its own, in the order of their names.
    public static func assignments(
        _ name: String, _ property: any WritableKeyPath<C, [String: String]> & Sendable, _ meaning: String
    ) -> SpecBinding {
        SpecBinding(.init(name, .assignment, meaning, isRepeatable: true)) { spec, connector in
            connector[keyPath: property] = spec.assignments(name)
        } write: { connector, parts in
            for (key, value) in connector[keyPath: property].sorted(by: { $0.key < $1.key }) {
                parts.add(name, "\(key)=\(value)")
            }
        }
    }
}
