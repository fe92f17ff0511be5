/// Names that are handed to commands.
enum PlainName {
    /// Whether it can be a name, and cannot be taken for an option.
    ///
    /// - Parameter blanks: whether it may have blanks in it.
    static func admits(_ name: String, blanks: Bool) -> Bool {
        !name.isEmpty && !name.hasPrefix("-")
            && !name.utf8.contains { $0 < 0x20 || $0 == 0x20 && !blanks || $0 == 0x7f }
    }

    /// - Throws: if `name` could be taken for an option, or cannot be a name.
    static func check(_ name: String?, _ what: String) throws {
        guard let name, !admits(name, blanks: true) else { return }
        throw MartletError(.misuse, "“\(ConnectDiagnosis.visible(name))” is not the name of a \(what)")
    }

    /// `user@name`, or the name alone.
    static func joined(_ user: String?, _ name: String) -> String { (user.map { "\($0)@" } ?? "") + name }

    /// `NAME=VALUE` for each variable, in the order of their names.
    static func settings(_ environment: [String: String]) throws -> [String] {
        for name in environment.keys {
            try check(name, "variable")
            guard !name.utf8.contains(0x3d) else {
                throw MartletError(.misuse, "“\(name)” is not the name of a variable")
            }
        }
        return environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }
}
