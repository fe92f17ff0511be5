import MartletWire

/// Puts the parts of one message together, up to a limit.
struct MessageAssembly {
    /// The largest value that is taken from another context, in bytes: 64 MiB.
    static let limit = 64 * 1024 * 1024

    private(set) var bytes: [UInt8] = []

    /// - Returns: `false` if the message would be too large.
    mutating func append(_ part: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count + part.count <= Self.limit else { return false }
        bytes.append(contentsOf: part)
        return true
    }

    /// Takes what has come; nothing is left.
    mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }
}

extension ResetReason {
    static let valueTooLarge = ResetReason(.limitExceeded, "a value of more than \(MessageAssembly.limit >> 20) MiB")
}
