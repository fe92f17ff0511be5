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
    /// What is reserved for an item of which the beginning has come, in bytes, at most.
    private static let reserve = 1024 * 1024 + 64

    private struct Piece {
        var bytes: [UInt8]
        var offset = 0
        /// It came over a stream, whose credit goes back when it is taken.
        var isForeign: Bool
    }

    enum Item {
        case item(ArraySlice<UInt8>)
        /// The content of an item that is a byte string and was gathered as such.
        case content([UInt8])
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
    /// If that is the content of a byte string, without what stands in front of it: how long it is.
    private var contentCount: Int?
    /// The reader takes byte strings: large ones are gathered as what they will be, so that no byte is copied twice.
    var gathersContent = false
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

    /// Adds an item that is a byte string: what stands in front of it, and its content, which is not copied if it is large.
    mutating func append(head: [UInt8], content: [UInt8]) {
        guard content.count > Self.fill / 2 else { return append(item: head + content) }
        append(item: head)
        count += content.count
        pieces.append(Piece(bytes: content, isForeign: false))
    }

    /// What stands in front of a byte string of `count` bytes: the item's length, and CBOR's head.
    static func contentHead(_ count: Int) -> [UInt8] {
        var head: [UInt8] = [0, 0, 0, 0]
        switch count {
        case ..<24: head.append(0x40 | UInt8(count))
        case ..<0x100: head += [0x58, UInt8(count)]
        case ..<0x1_0000: head += [0x59, UInt8(count >> 8), UInt8(truncatingIfNeeded: count)]
        default:
            head.append(0x5a)
            withUnsafeBytes(of: UInt32(count).bigEndian) { head += $0 }
        }
        let length = UInt32(head.count - headCount + count)
        head.withUnsafeMutableBytes { $0.storeBytes(of: length.bigEndian, as: UInt32.self) }
        return head
    }

    /// Begins to gather content, if the first piece begins with a large byte string.
    private mutating func beginContent() {
        // Only the head that we write ourselves for what is large: 0x5a and four bytes.
        guard gathersContent, let piece = pieces.first, piece.bytes.count - piece.offset >= Self.headCount + 5,
            piece.bytes[piece.offset + Self.headCount] == 0x5a
        else { return }
        let start = piece.offset
        let length = Self.length(piece.bytes[start..<start + Self.headCount])
        let content = Self.length(piece.bytes[start + 5..<start + 9])
        guard length == content + 5, length <= MessageAssembly.limit else { return }
        advance(Self.headCount + 5)
        contentCount = content
        partial = []
        partial.reserveCapacity(min(content, Self.reserve))
    }

    private var isGathering: Bool { !partial.isEmpty || contentCount != nil }

    /// Adds what a frame brought.
    ///
    /// - Parameter isAwaited: a reader waits for the item of which the beginning is gathered: then its bytes go there at
    ///   once.
    mutating func append(payload: UnsafeRawBufferPointer, isAwaited: Bool = false) {
        if isAwaited, isGathering, pieces.isEmpty, payload.count <= wantedForPart - partial.count {
            partial.append(contentsOf: payload)
            freed += StreamState.cost(ofPayload: payload.count)
            return
        }
        guard !payload.isEmpty else {
            freed += StreamState.cost(ofPayload: 0)
            return
        }
        count += payload.count
        pieces.append(Piece(bytes: Array(payload), isForeign: true))
    }

    /// How many bytes the gathered item has in all, as far as that is known.
    private var wantedForPart: Int {
        if let contentCount { return contentCount }
        guard partial.count >= Self.headCount else { return Self.headCount }
        return Self.headCount + Self.length(partial[..<Self.headCount])
    }

    // MARK: Reading

    /// Takes the next item, or what is there of it.
    mutating func takeItem() -> Item {
        if !isGathering, let item = takeWhole() { return item }
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
        if contentCount != nil {
            defer { (partial, contentCount) = ([], nil) }
            return .content(partial)
        }
        if partial.isEmpty { return takeWhole() ?? .tooLarge }
        let length = Self.length(partial[..<Self.headCount])
        if length == Self.finishLength { return .finish }
        guard length <= MessageAssembly.limit else { return .tooLarge }
        defer { partial = [] }
        return .item(partial[Self.headCount...])
    }

    /// Whether ``takeItem()`` would give something; gathers what is there.
    mutating func hasItem() -> Bool {
        if !isGathering, let piece = pieces.first, piece.bytes.count - piece.offset >= Self.headCount {
            let start = piece.offset + Self.headCount
            let length = Self.length(piece.bytes[piece.offset..<start])
            if length <= MessageAssembly.limit, start + length <= piece.bytes.count { return true }
            beginContent()
        }
        while true {
            let wanted = wantedForPart
            if contentCount == partial.count { return true }
            if contentCount == nil, partial.count >= Self.headCount,
                partial.count == wanted || wanted > MessageAssembly.limit + Self.headCount
            {
                return true
            }
            guard let bytes = first(wanted - partial.count) else { return false }
            // No more is believed of a claimed length than this.
            if contentCount == nil, partial.count == Self.headCount {
                partial.reserveCapacity(min(wanted, Self.reserve))
            }
            partial += bytes
            advance(bytes.count)
        }
    }

    private static func length(_ head: ArraySlice<UInt8>) -> Int {
        head.withUnsafeBytes { Int(UInt32(bigEndian: $0.loadUnaligned(as: UInt32.self))) }
    }

    /// What is next, at most `limit` bytes; `nil` if there is nothing.
    func first(_ limit: Int) -> ArraySlice<UInt8>? {
        pieces.first.map { $0.bytes[$0.offset..<$0.offset + min($0.bytes.count - $0.offset, limit)] }
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
        guard isGathering else { return }
        let bytes = contentCount.map { Self.contentHead($0) + partial } ?? partial
        count += bytes.count
        pieces.prepend(Piece(bytes: bytes, isForeign: false))
        (partial, contentCount) = ([], nil)
    }

    mutating func discardAll() {
        (partial, contentCount) = ([], nil)
        while let piece = pieces.first { advance(piece.bytes.count - piece.offset) }
    }

    /// What the writer's stream may be told to have been consumed, as one payload; `nil` if nothing.
    mutating func takeFreed() -> Int? {
        guard freed > 0 else { return nil }
        defer { freed = 0 }
        return freed - StreamState.frameCost
    }
}
