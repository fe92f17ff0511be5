import MartletWire

/// One end's view of one stream: which directions are still open and how much may flow.
///
///     open ──sent last──▶ half closed (local) ──got last──▶ closed
///       └────got last──▶ half closed (remote) ─sent last──▶ closed
///     any ── reset, sent or received ──▶ closed
///
/// Credit is counted in bytes of ``cost(ofPayload:)``: only `data` frames cost, `open` and `end` are one frame each.
/// The window doubles, up to the limit, whenever the sender says that it was held up while the reader had read all:
/// then the window, not either end, is what holds the stream back. That finds bandwidth × delay without a clock. The
/// receiver cannot see it alone: it grants more at half a window, so to it a far sender looks as if it never ran out.
package struct StreamState: Sendable {
    /// What a stream may receive before its reader has read anything, in bytes.
    package static let initialWindow = 256 * 1024
    /// How far one stream's window grows, in bytes.
    package static let maximumWindow = 16 * 1024 * 1024
    /// The least credit that is granted at once, in bytes, so that credit frames are few beside the data.
    package static let minimumCredit = 64 * 1024
    /// What a `data` frame costs beyond its payload, so that a flood of empty messages is bounded too.
    package static let frameCost = 32

    package static func cost(ofPayload count: Int) -> Int { count + frameCost }

    package private(set) var localEnded = false
    package private(set) var remoteEnded = false
    private var sendCredit = initialWindow
    private var wasHeldUp = false
    private var window = initialWindow
    /// Bytes that have come, that were read, and up to which the other end may send.
    private var received = 0
    private var consumed = 0
    private var granted = initialWindow
    private var senderIsHeldUp = false
    /// What `granted` was when the window grew last: until that much has come, the sender speaks of the old window.
    private var grownAt = 0

    package init() {}

    package var isClosed: Bool { localEnded && remoteEnded }
    /// Bytes that lie here unread.
    package var unread: Int { received - consumed }
    package var receiveWindow: Int { window }

    // MARK: Sending

    /// Takes the credit for a payload of `count` bytes, if there is enough.
    package mutating func takeCredit(forPayload count: Int) -> Bool {
        let cost = Self.cost(ofPayload: count)
        guard cost <= sendCredit else { return false }
        sendCredit -= cost
        return true
    }

    /// The largest payload that may be sent now.
    package var sendablePayload: Int { max(0, min(FrameHeader.maximumPayload, sendCredit - Self.frameCost)) }

    /// The other end lets us send `count` bytes more.
    ///
    /// - Returns: `false` if that is more than any honest peer grants.
    package mutating func receivedCredit(_ count: Int) -> Bool {
        guard Self.isLegal(credit: count, upon: sendCredit) else { return false }
        if sendCredit < Self.cost(ofPayload: FrameHeader.maximumPayload) { wasHeldUp = true }
        sendCredit += count
        return true
    }

    /// Whether an honest peer may grant `count` bytes to a sender that has `credit` left.
    static func isLegal(credit count: Int, upon credit: Int) -> Bool {
        count >= minimumCredit && count <= maximumWindow && credit + count <= 2 * maximumWindow
    }

    /// Whether the next `data` frame has to say ``FrameHeader/Flags/heldUp``; asked once for each frame.
    package mutating func takeHeldUp() -> Bool {
        defer { wasHeldUp = false }
        return wasHeldUp
    }

    package mutating func sentLast() { localEnded = true }

    // MARK: Receiving

    /// A `data` frame has come.
    ///
    /// - Returns: `false` if it breaks the rules: behind the last message, or more than was granted.
    package mutating func receivedData(payload count: Int, heldUp: Bool = false) -> Bool {
        let cost = Self.cost(ofPayload: count)
        guard !remoteEnded, received + cost <= granted else { return false }
        received += cost
        if heldUp, received > grownAt { senderIsHeldUp = true }
        return true
    }

    package mutating func receivedLast() -> Bool {
        guard !remoteEnded else { return false }
        remoteEnded = true
        return true
    }

    /// The reader has taken a `data` payload of `count` bytes.
    ///
    /// - Parameter budget: what all streams of this context may hold together.
    /// - Returns: the credit to send now; 0 for none yet.
    package mutating func consumedData(payload count: Int, budget: inout ReceiveBudget) -> Int {
        consumed += Self.cost(ofPayload: count)
        assert(consumed <= received)
        guard !remoteEnded else { return 0 }
        if senderIsHeldUp, unread == 0, window < Self.maximumWindow, budget.take(window) {
            window *= 2
            senderIsHeldUp = false
            grownAt = granted
        }
        let credit = consumed + window - granted
        guard credit >= window / 2 else { return 0 }
        granted += credit
        return credit
    }

    /// Gives back what the window had grown.
    package func release(to budget: inout ReceiveBudget) {
        budget.give(window - Self.initialWindow)
    }
}

/// What all streams of one context may buffer together beyond their initial windows, in bytes.
package struct ReceiveBudget: Sendable {
    package private(set) var available: Int

    /// Default: 128 MiB.
    package init(limit: Int = 128 * 1024 * 1024) { available = limit }

    package mutating func take(_ count: Int) -> Bool {
        guard count <= available else { return false }
        available -= count
        return true
    }

    package mutating func give(_ count: Int) { available += count }
}
