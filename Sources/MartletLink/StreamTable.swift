package import MartletWire

/// The streams that end in this context. `Owner` is whatever stands behind a stream: a call, a command.
package struct StreamTable<Owner: Sendable>: Sendable {
    package enum Event: Sendable {
        /// A new stream: `accept` or answer with a reset.
        case opened(StreamKey)
        /// A message, or a part of one, for the stream's owner.
        case message(Owner)
        /// There is credit again.
        case credit(Owner)
        /// The other end ended the stream at once; it is out of the table.
        case reset(Owner)
        /// A frame of a stream that is over: it was under way when the stream ended.
        case stale
        /// The other end broke the rules of the stream; it is out of the table, and the other end has to be told.
        case violation(Owner?, ResetReason)
    }

    private struct Entry {
        var owner: Owner
        var state: StreamState
    }

    private let address: ContextAddress
    private let limits: StreamLimits
    private var entries: [StreamKey: Entry] = [:]
    /// Accepted streams by the child through which their opener is reached; 0 for those from beside or above us.
    private var accepted: [UInt32: Int] = [:]
    private var lastNumber: UInt32
    private var budget: ReceiveBudget

    /// - Parameter lastNumber: the number before that of the first stream that is opened here.
    package init(address: ContextAddress, limits: StreamLimits = .init(), lastNumber: UInt32 = 0) {
        self.address = address
        self.lastNumber = lastNumber
        self.limits = limits
        budget = ReceiveBudget(limit: limits.receiveBudget)
    }

    package var count: Int { entries.count }
    package var keys: [StreamKey] { Array(entries.keys) }

    // MARK: Opening

    /// Opens a stream to `acceptor`.
    ///
    /// - Parameter ended: the `open` frame is also our last.
    package mutating func open(to acceptor: ContextAddress, owner: Owner, ended: Bool) -> StreamKey {
        var key: StreamKey
        repeat {
            lastNumber &+= 1
            key = StreamKey(opener: address, acceptor: acceptor, number: lastNumber)
        } while entries[key] != nil
        var state = StreamState()
        if ended { state.sentLast() }
        entries[key] = Entry(owner: owner, state: state)
        return key
    }

    /// Takes a stream that was reported as ``Event/opened(_:)``.
    ///
    /// - Parameter ended: the `open` frame was also the opener's last.
    package mutating func accept(_ key: StreamKey, owner: Owner, ended: Bool) {
        var state = StreamState()
        if ended { _ = state.receivedLast() }
        assert(key.opener != address && entries[key] == nil)
        entries[key] = Entry(owner: owner, state: state)
        accepted[side(of: key), default: 0] += 1
    }

    // MARK: Receiving

    /// Takes in a frame whose destination is this context and whose source was checked.
    package mutating func receive(_ header: FrameHeader, credit: Int = 0) -> Event {
        let key = header.streamKey
        guard header.kind != .open else { return receiveOpen(key, header) }
        guard let index = entries.index(forKey: key) else { return .stale }
        let owner = entries.values[index].owner
        let isLegal: Bool
        switch header.kind {
        case .data:
            isLegal = entries.values[index].state.receivedData(
                payload: header.payloadCount,
                heldUp: header.flags.contains(.heldUp)
            )
        case .end:
            isLegal = entries.values[index].state.receivedLast()
            if isLegal, entries.values[index].state.isClosed { remove(at: index) }
        case .credit:
            isLegal = entries.values[index].state.receivedCredit(credit)
            if isLegal { return .credit(owner) }
        case .reset:
            remove(at: index)
            return .reset(owner)
        case .open, .hello, .welcome, .ping, .pong, .goodbye:
            isLegal = false
        }
        guard isLegal else {
            remove(at: index)
            return .violation(owner, ResetReason(.protocolViolation, "illegal \(header.kind) on stream \(key.number)"))
        }
        return .message(owner)
    }

    private mutating func receiveOpen(_ key: StreamKey, _ header: FrameHeader) -> Event {
        guard header.flags.contains(.fromOpener) else {
            return .violation(nil, ResetReason(.protocolViolation, "only its opener opens stream \(key.number)"))
        }
        if let owner = remove(key) {
            return .violation(owner, ResetReason(.protocolViolation, "stream \(key.number) is open already"))
        }
        let isFromAbove = key.opener.isAncestor(of: address)
        let count = isFromAbove ? entries.count : accepted[side(of: key)] ?? 0
        guard count < (isFromAbove ? limits.maximumStreams : limits.maximumStreamsFromBelow)
        else { return .violation(nil, ResetReason(.limitExceeded, "too many open streams")) }
        return .opened(key)
    }

    // MARK: Using

    /// The owner of an open stream.
    package func owner(of key: StreamKey) -> Owner? { entries[key]?.owner }

    /// Takes the credit for a `data` payload; `nil` if the stream is over.
    package mutating func takeCredit(_ key: StreamKey, payload count: Int) -> Bool? {
        guard let index = entries.index(forKey: key) else { return nil }
        return entries.values[index].state.takeCredit(forPayload: count)
    }

    /// Whether the next `data` frame has to say ``FrameHeader/Flags/heldUp``; asked once for each frame.
    package mutating func takeHeldUp(_ key: StreamKey) -> Bool {
        guard let index = entries.index(forKey: key) else { return false }
        return entries.values[index].state.takeHeldUp()
    }

    /// The largest `data` payload that may be sent now; `nil` if the stream is over.
    package func sendablePayload(_ key: StreamKey) -> Int? { entries[key]?.state.sendablePayload }

    /// The owner's reader has taken a `data` payload of `count` bytes.
    ///
    /// - Returns: the credit to send; 0 for none.
    package mutating func consumed(_ key: StreamKey, payload count: Int) -> Int {
        guard let index = entries.index(forKey: key) else { return 0 }
        return entries.values[index].state.consumedData(payload: count, budget: &budget)
    }

    /// Our last message goes out.
    ///
    /// - Returns: `false` if the stream is over already, so that nothing is to be sent.
    package mutating func sentLast(_ key: StreamKey) -> Bool {
        guard let index = entries.index(forKey: key), !entries.values[index].state.localEnded else { return false }
        entries.values[index].state.sentLast()
        if entries.values[index].state.isClosed { remove(at: index) }
        return true
    }

    /// Ends a stream at once.
    ///
    /// - Returns: its owner; `nil` if it is over already, so that nothing is to be sent.
    @discardableResult
    package mutating func remove(_ key: StreamKey) -> Owner? {
        guard let index = entries.index(forKey: key) else { return nil }
        let owner = entries.values[index].owner
        remove(at: index)
        return owner
    }

    /// Ends all streams whose other end matches.
    package mutating func removeAll(where isLost: (ContextAddress) -> Bool) -> [(StreamKey, Owner)] {
        let lost = entries.filter { isLost($0.key.opener == address ? $0.key.acceptor : $0.key.opener) }
        for key in lost.keys { remove(key) }
        return lost.map { ($0.key, $0.value.owner) }
    }

    private mutating func remove(at index: Dictionary<StreamKey, Entry>.Index) {
        let (key, entry) = entries.remove(at: index)
        entry.state.release(to: &budget)
        guard key.opener != address else { return }
        let side = side(of: key)
        accepted[side] = accepted[side] == 1 ? nil : accepted[side]! - 1
    }

    private func side(of key: StreamKey) -> UInt32 { address.childNumber(towards: key.opener) ?? 0 }
}

/// How much others may make a context hold.
package struct StreamLimits: Sendable {
    /// Streams that end in one context. Default: 65,536.
    package var maximumStreams = 65_536
    /// Streams that the contexts below one child have opened to one context. Default: 4,096.
    package var maximumStreamsFromBelow = 4_096
    /// Streams that cross one relay: so many from above, and so many from below. Default: 262,144.
    package var maximumRelayedStreams = 262_144
    /// Streams that the contexts below one child have opened across one relay. Default: 65,536.
    package var maximumRelayedStreamsPerChild = 65_536
    /// What the streams of one context may buffer beyond their initial windows, in bytes. Default: 128 MiB.
    package var receiveBudget = 128 * 1024 * 1024

    package init() {}
}
