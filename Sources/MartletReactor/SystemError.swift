import CMartlet

/// A system call that failed: which one, why, and on what.
package struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    package var errno: Int32
    /// What was tried, as a person would say it: `open /etc/motd`.
    package var operation: String

    package init(_ errno: Int32, _ operation: String) {
        self.errno = errno
        self.operation = operation
    }

    package var description: String { "\(operation): \(Self.text(errno))" }

    package static func text(_ errno: Int32) -> String { String(cString: martlet_error_text(errno)) }
}
