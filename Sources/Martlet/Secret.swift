import CMartlet
import MartletReactor
import MartletWire
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A password, a passphrase, a token: something that must not be seen.
///
/// It shows as `‹secret›` wherever it is printed or looked into. It crosses hops in Martlet's own frames and in nothing else:
/// other encoders are refused. Its memory is overwritten when its last copy goes.
public struct Secret: Sendable, Hashable {
    private final class Storage: Sendable {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        deinit {
            // Nobody else has the array: its bytes are handed out as a buffer only.
            bytes.withUnsafeBytes { martlet_forget(UnsafeMutableRawPointer(mutating: $0.baseAddress), $0.count) }
        }
    }

    private let storage: Storage

    /// The secret is `text`. What the caller has of it stays the caller's.
    public init(_ text: String) { self.init(bytes: text.utf8) }

    /// The secret is `bytes`.
    public init(bytes: some Sequence<UInt8>) { storage = Storage(bytes.map { $0 }) }

    /// The first line of a file that is for its owner alone.
    ///
    /// - Throws: ``MartletError`` with code `misuse` if it cannot be read, or others may read it.
    public init(contentsOfFile path: String) throws {
        var error: Int32 = 0
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw MartletError(.misuse, "the file with a secret cannot be read: \(path): \(SystemError.text(errno))")
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & 0o077 == 0 else {
            throw MartletError(
                .misuse, "the file with a secret is open to others: \(path)", advice: "chmod 600 \(path)")
        }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = bytes.withUnsafeMutableBytes { buffer in
            let count = read(file, buffer.baseAddress!, buffer.count)
            error = errno
            return count
        }
        guard count >= 0 else {
            throw MartletError(.misuse, "the file with a secret cannot be read: \(path): \(SystemError.text(error))")
        }
        self.init(bytes: bytes[..<count].prefix { $0 != 0x0a && $0 != 0x0d })
        bytes.withUnsafeMutableBytes { martlet_forget($0.baseAddress, $0.count) }
    }

    /// Lends the bytes.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try storage.bytes.withUnsafeBytes(body)
    }

    /// Whether there is nothing in it.
    public var isEmpty: Bool { storage.bytes.isEmpty }

    /// Takes as long wherever the two differ.
    public static func == (left: Secret, right: Secret) -> Bool {
        let (left, right) = (left.storage.bytes, right.storage.bytes)
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// Of the bytes.
    public func hash(into hasher: inout Hasher) { hasher.combine(storage.bytes) }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// `‹secret›`.
    public var description: String { "‹secret›" }
    /// `‹secret›`.
    public var debugDescription: String { description }
    /// Nothing.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension Secret: Codable {
    /// Throws unless `encoder` writes a frame of Martlet's.
    public func encode(to encoder: any Encoder) throws {
        guard encoder is any FrameEncoder else {
            throw EncodingError.invalidValue(
                self,
                .init(
                    codingPath: encoder.codingPath,
                    debugDescription:
                        "a Secret travels in Martlet's own frames only; \(type(of: encoder)) may write to anywhere"
                )
            )
        }
        var container = encoder.singleValueContainer()
        try container.encode(storage.bytes)
    }

    /// From a frame.
    public init(from decoder: any Decoder) throws {
        self.init(bytes: try decoder.singleValueContainer().decode([UInt8].self))
    }
}
