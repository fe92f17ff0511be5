/// A path: text, or, as names of files need not be text, bytes.
public protocol PathName: Sendable {
    /// Without a NUL byte.
    var pathBytes: [UInt8] { get }
}

extension String: PathName {
    /// In UTF-8.
    public var pathBytes: [UInt8] { Array(utf8) }
}

extension [UInt8]: PathName {
    /// Itself.
    public var pathBytes: [UInt8] { self }
}

/// Calls `body` with a path as C has it.
package func withPath<R>(_ path: [UInt8], _ body: (UnsafePointer<CChar>) -> R) -> R {
    (path + [0]).withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
}

extension [UInt8] {
    static let slash = UInt8(ascii: "/")

    /// With the home of the user in front, if it begins with `~/`.
    var expandingHome: [UInt8] {
        let tilde = UInt8(ascii: "~")
        guard first == tilde, count == 1 || self[1] == Self.slash, let home = ProcessEnvironment.current["HOME"] else {
            return self
        }
        return Array(home.utf8) + dropFirst()
    }

    /// As people read it.
    package var shown: String { String(decoding: self, as: UTF8.self) }

    /// The path of something in this folder.
    func appending(path name: [UInt8]) -> [UInt8] {
        if isEmpty { return name }
        return last == Self.slash ? self + name : self + [Self.slash] + name
    }

    /// Without slashes at its end, but for the root.
    var withoutSlashes: [UInt8] {
        let last = lastIndex { $0 != Self.slash } ?? 0
        return Array(prefix(last + 1))
    }

    /// What stands behind the last slash, and what stands before it: `.` if there is none.
    var splitPath: (folder: [UInt8], name: [UInt8]) {
        let path = withoutSlashes
        guard let slash = path.lastIndex(of: Self.slash) else { return ([UInt8(ascii: ".")], path) }
        return (Array(path[...slash]), Array(path[(slash + 1)...]))
    }

    /// Whether it is the name of something in a folder, and of nothing elsewhere.
    var isFileName: Bool {
        let dot = UInt8(ascii: ".")
        return (1...255).contains(count) && !contains(Self.slash) && !contains(0) && self != [dot]
            && self != [dot, dot]
    }
}
