/// Why a helper of the test kit could not do its work.
public struct TestKitError: Error, Sendable, CustomStringConvertible {
    /// What went wrong, for a program to tell apart.
    public enum Code: Sendable, Hashable {
        /// A tool that the helper needs is not installed, or the user may not do what it does.
        case unavailable
        /// A system call or a tool failed.
        case failed
        /// A condition did not come true before its deadline.
        case timedOut
        /// The scope ended and programs that it should have ended still ran. They have been ended since.
        case leftBehind
    }

    /// What went wrong, for a program to tell apart.
    public let code: Code

    /// What went wrong, for a person: names the tool, the file or the process.
    public let message: String

    /// The message, after the code.
    public var description: String { "\(code): \(message)" }
}
