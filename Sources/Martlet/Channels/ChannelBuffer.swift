import DequeModule
import MartletLink

/// What a channel's writer has written and its reader has not taken yet: items, one behind the other, each with its
/// length in front. It comes and goes in pieces of any size, so that one frame carries many small items.
struct ChannelBuffer {
    /// The length of an item: four bytes, big-endian.
    static let headCount = 4
    /// Stands where an item's length would: the writer has finished, and only the end of the channel follows.
    static let finishMark: [UInt8] = [0xff, 0xff, 0xff, 0xff]
    private static let finishLength = 0xffff_ffff
    /// Own pieces are filled up to this size before the next begins, in bytes.
    private static let fill = 32 * 1024

    private struct Piece {
        var bytes: [UInt8]
        var offset = 0
        /// It came over a stream, whose credit goes back when it is taken.
        var isForeign: Bool
    }

    enum Item {
        case item(ArraySlice<UInt8>)
        /// Not all of it is here.
        case incomplete
        /// The writer has finished.
        case finish
        /// The writer claims a length that no honest one has.
        case tooLarge
    }

    private var pieces = Deque<Piece>()
    /// The beginning of an item of which more is to come. Only a reader that waits gathers one.
    private var partial: [UInt8] = []
    /// Bytes that nobody has taken.
    private(set) var count = 0
    /// Of pieces that were taken, what they cost: see ``StreamState/cost(ofPayload:)``.
    private var freed = 0

    var isEmpty: Bool { count == 0 }

    // MARK: Writing

    /// Adds an item that was written here; `bytes` begins with its length.
    mutating func append(item bytes: [UInt8]) {
        count += bytes.count
        if let last = pieces.indices.last, !pieces[last].isForeign,
            pieces[last].bytes.count + bytes.count <= Self.fill
        {
            pieces[last].bytes += bytes
        } else {
            pieces.append(Piece(bytes: bytes, isForeign: false))
        }
    }

    /// Adds what a frame brought.
    mutating func append(payload: UnsafeRawBufferPointer) {
        guard !payload.isEmpty else {
            freed += StreamState.cost(ofPayload: 0)
            return
        }
        count += payload.count
        pieces.append(Piece(bytes: Array(payload), isForeign: true))
    }

    // MARK: Reading

    /// Takes the next item, or what is there of it.
    mutating func takeItem() -> Item {
        if partial.isEmpty, let item = takeWhole() { return item }
        return takePart()
    }

    /// An item that lies whole in the first piece: no byte of it is copied.
    private mutating func takeWhole() -> Item? {
        guard let piece = pieces.first else { return .incomplete }
        let start = piece.offset + Self.headCount
        guard start <= piece.bytes.count else { return nil }
        let length = Self.length(piece.bytes[piece.offset..<start])
        guard length <= MessageAssembly.limit, start + length <= piece.bytes.count else { return nil }
        let item = piece.bytes[start..<start + length]
        advance(Self.headCount + length)
        return .item(item)
    }

    private mutating func takePart() -> Item {
        guard hasItem() else { return .incomplete }
        if partial.isEmpty { return takeWhole() ?? .tooLarge }
        let length = Self.length(partial[..<Self.headCount])
        if length == Self.finishLength { return .finish }
        guard length <= MessageAssembly.limit else { return .tooLarge }
        defer { partial = [] }
        return .item(partial[Self.headCount...])
    }

    /// Whether ``takeItem()`` would give something; gathers what is there.
    mutating func hasItem() -> Bool {
        if partial.isEmpty, let piece = pieces.first, piece.bytes.count - piece.offset >= Self.headCount {
            let start = piece.offset + Self.headCount
            let length = Self.length(piece.bytes[piece.offset..<start])
            if length <= MessageAssembly.limit, start + length <= piece.bytes.count { return true }
        }
        while true {
            var wanted = Self.headCount
            if partial.count >= Self.headCount {
                let length = Self.length(partial[..<Self.headCount])
                wanted += length
                if length > MessageAssembly.limit || partial.count == wanted { return true }
            }
            guard let bytes = first(wanted - partial.count) else { return false }
            partial += bytes
            advance(bytes.count)
        }
    }

    private static func length(_ head: ArraySlice<UInt8>) -> Int {
        head.withUnsafeBytes { Int(UInt32(bigEndian: $0.loadUnaligned(as: UInt32.self))) }
    }

    /// What is next, at most `limit` bytes; `nil` if there is nothing.
    func first(_ limit: Int) -> ArraySlice<UInt8>? {
        pieces.first.map { $0.bytes[$0.offset..<min($0.bytes.count, $0.offset + limit)] }
    }

    /// `amount` bytes of the first piece are taken.
    mutating func advance(_ amount: Int) {
        count -= amount
        pieces[0].offset += amount
        guard pieces[0].offset == pieces[0].bytes.count else { return }
        let piece = pieces.removeFirst()
        if piece.isForeign { freed += StreamState.cost(ofPayload: piece.bytes.count) }
    }

    /// The reader that has gathered a beginning is not the one that will get the rest.
    mutating func putBackPart() {
        guard !partial.isEmpty else { return }
        count += partial.count
        pieces.prepend(Piece(bytes: partial, isForeign: false))
        partial = []
    }

    mutating func discardAll() {
        partial = []
        while let piece = pieces.first { advance(piece.bytes.count - piece.offset) }
    }

    /// What the writer's stream may be told to have been consumed, as one payload; `nil` if nothing.
    mutating func takeFreed() -> Int? {
        guard freed > 0 else { return nil }
        defer { freed = 0 }
        return freed - StreamState.frameCost
    }
}
