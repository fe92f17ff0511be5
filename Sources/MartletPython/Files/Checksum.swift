import CMartlet

/// SHA-256 of what passes, and how much it was.
struct Checksum {
    private var state = martlet_digest()

    init() { martlet_digest_begin(&state) }

    var count: UInt64 { state.count }

    mutating func add(_ bytes: [UInt8]) { martlet_digest_add(&state, bytes, bytes.count) }

    /// What stands behind a file's content on the wire: its size, 8 bytes, and the digest.
    func trailer() -> [UInt8] {
        var (last, digest) = (state, [UInt8](repeating: 0, count: 32))
        martlet_digest_end(&last, &digest)
        return (0..<8).map { UInt8(truncatingIfNeeded: count >> (56 - 8 * $0)) } + digest
    }
}
