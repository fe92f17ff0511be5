/// How directories of nested scopes make one path. Nothing is looked up.
enum RemotePath {
    /// - Parameter outer: what holds outside; `nil`: where the host's context is.
    static func joining(_ outer: String?, _ path: String) -> String {
        guard let outer, !isAnchored(path), !path.isEmpty else { return path.isEmpty ? outer ?? "." : path }
        return outer.hasSuffix("/") ? outer + path : outer + "/" + path
    }

    /// Whether it begins at a place of its own.
    static func isAnchored(_ path: String) -> Bool { path.hasPrefix("/") || path.hasPrefix("~") }

    /// `~joe/notes/a` is (`~joe`, `/notes/a`); `nil` for a path that needs no home.
    static func home(_ path: String) -> (name: String, rest: String)? {
        guard path.hasPrefix("~") else { return nil }
        let name = path.prefix { $0 != "/" }
        // What no account is called is a file's name.
        guard name.dropFirst().utf8.allSatisfy({ isNameByte($0) }) else { return nil }
        return (String(name), String(path.dropFirst(name.count)))
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// What is behind the last slash; for `a/b/` it is `b`.
    static func name(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }
}
