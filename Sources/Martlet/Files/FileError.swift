import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Something that could not be done with a file.
package struct FileError: Error {
    /// `read` or `write`.
    package var operation: String
    package var path: [UInt8]
    package var reason: String
    /// Of the system; 0 if it is not the system's.
    package var number: Int32

    package init(_ operation: String, _ path: [UInt8], _ number: Int32) {
        self.init(operation, path, number, SystemError.text(number))
    }

    package init(_ operation: String, _ path: [UInt8], _ number: Int32 = 0, _ reason: String) {
        (self.operation, self.path, self.number, self.reason) = (operation, path, number, reason)
    }

    /// Nothing else will do better either.
    var endsAll: Bool { [ENOSPC, EDQUOT, EROFS, EIO, EMFILE, ENFILE].contains(number) }

    /// - Parameter isHere: it is a file of the process that asked.
    package func error(isHere: Bool) -> MartletError {
        MartletError(
            .fileFailed, "\(operation) \(path.shown)\(isHere ? " here" : ""): \(reason)", advice: advice)
    }

    private var advice: String? {
        switch number {
        case ENOSPC, EDQUOT: "make room there; nothing of what is there was changed"
        default: nil
        }
    }
}

/// A file of a tree that could not be copied.
public struct FileFailure: Sendable, Hashable, CustomStringConvertible {
    /// In the tree; empty for its root.
    public var path: [UInt8]
    /// In words.
    public var reason: String

    /// The path and the reason.
    public var description: String { "\(path.isEmpty ? "." : path.shown): \(reason)" }

    /// So many are told one by one, at most.
    static let limit = 1000
}
