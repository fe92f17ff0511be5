/// How directories of nested scopes make one path. Nothing is looked up.
enum RemotePath {
    /// - Parameter outer: what holds outside; `nil`: where the host's context is.
    static func joining(_ outer: String?, _ path: String) -> String {
        guard let outer, !isAnchored(path), !path.isEmpty else { return path.isEmpty ? outer ?? "." : path }
        return outer.hasSuffix("/") ? outer + path : outer + "/" + path
    }

    /// Whether it begins at a place of its own.
    static func isAnchored(_ path: String) -> Bool { path.hasPrefix("/") || home(path) != nil }

    /// `~joe/notes/a` is (`~joe`, `/notes/a`); `nil` for a path that needs no home.
    static func home(_ path: String) -> (name: String, rest: String)? {
        guard path.hasPrefix("~") else { return nil }
        let name = path.prefix { $0 != "/" }
        // What no account is called is a file's name.
        guard name.dropFirst().utf8.allSatisfy({ isNameByte($0) }) else { return nil }
        return (String(name), String(path.dropFirst(name.count)))
    }

    /// The whole path of what `home(_:)` has found, in that account's home.
    static func joining(home: String, rest: String) -> String { home == "/" && !rest.isEmpty ? rest : home + rest }

    /// A folder to copy to, without the `.` that stands for it: by the slash that stays it is made if it is not there.
    static func destination(_ path: String) -> String {
        var path = path[...]
        while path.hasSuffix("/.") || path.hasSuffix("/./") { path.removeLast(path.hasSuffix("/") ? 2 : 1) }
        return String(path)
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
