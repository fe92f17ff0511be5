/// What a `goodbye` says.
enum Goodbye: Equatable {
    /// To a child: end what runs, send what is left, go. To a parent: this was all.
    case now
    /// To a child: take no more work, let what was sent arrive, then the same. The limit for all of it is in milliseconds.
    case after(limit: UInt32)
    /// To a parent: this context lives on by itself.
    case detached
    /// To a parent: this context is about to live on by itself, and must not be ended from there any more. To a child: so it
    /// is.
    case leaving

    var payload: [UInt8] {
        switch self {
        case .now: []
        case .after(let limit): withUnsafeBytes(of: limit.bigEndian) { Array($0) }
        case .detached: [1]
        case .leaving: [2]
        }
    }

    init(_ payload: UnsafeRawBufferPointer) {
        switch payload.count {
        case 1: self = payload[0] == 2 ? .leaving : .detached
        case 4: self = .after(limit: UInt32(bigEndian: payload.loadUnaligned(as: UInt32.self)))
        default: self = .now
        }
    }
}
