package import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// An environment, as programs get it.
package struct ProcessEnvironment: Sendable {
    private var values: [String: String] = [:]

    init() {}

    package subscript(name: String) -> String? {
        get { values[name] }
        set { values[name] = newValue }
    }

    /// This process's own.
    package static var current: ProcessEnvironment {
        var result = ProcessEnvironment()
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                result[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            next += 1
        }
        return result
    }

    package var strings: [String] { values.map { "\($0.key)=\($0.value)" } }
}

extension String {
    /// With this process's `HOME` for a `~` at the beginning, as shells do.
    package var expandingHome: String {
        guard self == "~" || hasPrefix("~/"), let home = ProcessEnvironment.current["HOME"] else { return self }
        return home + dropFirst()
    }
}

/// Finds programs as `execvp` does.
package enum ProgramSearch {
    /// - Throws: ``SystemError`` that says what was looked for, and where.
    package static func find(_ name: String, path: String?, directory: String? = nil) throws(SystemError) -> String {
        if name.isEmpty { throw SystemError(ENOENT, "find a program without a name") }
        if name.utf8.contains(0x2f) { return name }
        let path = path ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        var denied = false
        for folder in path.split(separator: ":", omittingEmptySubsequences: false) {
            let candidate = folder.isEmpty ? "./\(name)" : "\(folder)/\(name)"
            var information = stat()
            guard stat(candidate, &information) == 0, information.st_mode & S_IFMT == S_IFREG else { continue }
            if access(candidate, X_OK) == 0 { return candidate }
            denied = true
        }
        throw SystemError(denied ? EACCES : ENOENT, "find \(name) in PATH")
    }
}
