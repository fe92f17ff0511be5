import MartletWire

/// One end's view of one stream: which directions are still open and how much may flow.
///
///     open ──sent last──▶ half closed (local) ──got last──▶ closed
///       └────got last──▶ half closed (remote) ─sent last──▶ closed
///     any ── reset, sent or received ──▶ closed
///
/// Credit is counted in bytes of ``cost(ofPayload:)``: only `data` frames cost, `open` and `end` are one frame each. The
/// window doubles, up to the limit, whenever the sender had used all of it while the reader had read all of it: then the
/// window, not either end, is what holds the stream back. That finds bandwidth × delay without a clock.
package struct StreamState: Sendable {
    /// What a stream may receive before its reader has read anything, in bytes.
    package static let initialWindow = 256 * 1024
    /// How far one stream's window grows, in bytes.
    package static let maximumWindow = 16 * 1024 * 1024
    /// What a `data` frame costs beyond its payload, so that a flood of empty messages is bounded too.
    package static let frameCost = 32

    package static func cost(ofPayload count: Int) -> Int { count + frameCost }

    package private(set) var localEnded = false
    package private(set) var remoteEnded = false
    private var sendCredit = initialWindow
    private var window = initialWindow
    /// Bytes that have come, that were read, and up to which the other end may send.
    private var received = 0
    private var consumed = 0
    private var granted = initialWindow

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
        guard count > 0, count <= 2 * Self.maximumWindow, sendCredit + count <= 2 * Self.maximumWindow else {
            return false
        }
        sendCredit += count
        return true
    }

    package mutating func sentLast() { localEnded = true }

    // MARK: Receiving

    /// A `data` frame has come.
    ///
    /// - Returns: `false` if it breaks the rules: behind the last message, or more than was granted.
    package mutating func receivedData(payload count: Int) -> Bool {
        let cost = Self.cost(ofPayload: count)
        guard !remoteEnded, received + cost <= granted else { return false }
        received += cost
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
        guard !remoteEnded, consumed + window - granted >= window / 2 else { return 0 }
        // What the sender could not send for want of credit is less than one full frame.
        let senderIsHeldUp = granted - received < Self.cost(ofPayload: FrameHeader.maximumPayload)
        if senderIsHeldUp, unread == 0, window < Self.maximumWindow, budget.take(window) { window *= 2 }
        let credit = consumed + window - granted
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
