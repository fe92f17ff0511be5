package import MartletWire

/// The streams that end in this context.
///
/// Streams that were opened here are found by number alone: we gave the numbers, so nobody can make them collide, and
/// the other end is compared. For accepted ones the opener counts as well.
package struct StreamTable: Sendable {
    package enum Event: Sendable {
        /// A new stream: `accept` or answer with a reset.
        case opened(StreamKey)
        /// A message, or a part of one, for the stream's owner.
        case message(any StreamOwner)
        /// There is credit again.
        case credit(any StreamOwner)
        /// The other end ended the stream at once; it is out of the table.
        case reset(any StreamOwner)
        /// A frame of a stream that is over: it was under way when the stream ended.
        case stale
        /// The other end broke the rules of the stream; it is out of the table, and the other end has to be told.
        case violation((any StreamOwner)?, ResetReason)
    }

    private struct Entry {
        var owner: any StreamOwner
        /// The other end.
        var peer: ContextAddress
        var state = StreamState()
    }

    /// What tells accepted streams apart: their acceptor is always this context.
    private struct Origin: Hashable {
        var opener: ContextAddress
        var number: UInt32
    }

    private enum Place {
        case opened(Dictionary<UInt32, Entry>.Index)
        case accepted(Dictionary<Origin, Entry>.Index)
    }

    private let address: ContextAddress
    private let limits: StreamLimits
    private var opened: [UInt32: Entry] = [:]
    private var accepted: [Origin: Entry] = [:]
    /// Accepted streams by the share that they count against.
    private var shares: [UInt32: Int] = [:]
    private var lastNumber: UInt32
    private var budget: ReceiveBudget

    /// - Parameter lastNumber: the number before that of the first stream that is opened here.
    package init(address: ContextAddress, limits: StreamLimits = .init(), lastNumber: UInt32 = 0) {
        self.address = address
        self.lastNumber = lastNumber
        self.limits = limits
        budget = ReceiveBudget(limit: limits.receiveBudget)
    }

    package var count: Int { opened.count + accepted.count }
    package var keys: [StreamKey] {
        opened.map { StreamKey(opener: address, acceptor: $0.value.peer, number: $0.key) }
            + accepted.keys.map { StreamKey(opener: $0.opener, acceptor: address, number: $0.number) }
    }

    // MARK: Opening

    /// Opens a stream to `acceptor`.
    ///
    /// - Parameter ended: the `open` frame is also our last.
    package mutating func open(to acceptor: ContextAddress, owner: any StreamOwner, ended: Bool) -> StreamKey {
        repeat { lastNumber &+= 1 } while opened[lastNumber] != nil
        var entry = Entry(owner: owner, peer: acceptor)
        if ended { entry.state.sentLast() }
        opened[lastNumber] = entry
        return StreamKey(opener: address, acceptor: acceptor, number: lastNumber)
    }

    /// Takes a stream that was reported as ``Event/opened(_:)``.
    ///
    /// - Parameter ended: the `open` frame was also the opener's last.
    package mutating func accept(_ key: StreamKey, owner: any StreamOwner, ended: Bool) {
        var entry = Entry(owner: owner, peer: key.opener)
        if ended { _ = entry.state.receivedLast() }
        let old = accepted.updateValue(entry, forKey: Origin(opener: key.opener, number: key.number))
        assert(key.acceptor == address && key.opener != address && old == nil)
        if let share = share(of: key.opener) { shares[share, default: 0] += 1 }
    }

    // MARK: Receiving

    /// Takes in a frame whose destination is this context and whose source was checked.
    package mutating func receive(_ header: FrameHeader, credit: Int = 0) -> Event {
        let key = header.streamKey
        guard header.kind != .open else { return receiveOpen(key, header) }
        guard let place = find(key) else { return .stale }
        let owner = self[place].owner
        let isLegal: Bool
        switch header.kind {
        case .data:
            isLegal = self[place].state.receivedData(
                payload: header.payloadCount,
                heldUp: header.flags.contains(.heldUp)
            )
        case .end:
            isLegal = self[place].state.receivedLast()
            if isLegal, self[place].state.isClosed { remove(at: place) }
        case .credit:
            isLegal = self[place].state.receivedCredit(credit)
            if isLegal { return .credit(owner) }
        case .reset:
            remove(at: place)
            return .reset(owner)
        case .open, .hello, .welcome, .ping, .pong, .goodbye:
            isLegal = false
        }
        guard isLegal else {
            remove(at: place)
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
        let isFull =
            if let share = share(of: key.opener) {
                shares[share] ?? 0 >= limits.maximumStreamsFromBelow
            } else {
                count >= limits.maximumStreams
            }
        return isFull ? .violation(nil, ResetReason(.limitExceeded, "too many open streams")) : .opened(key)
    }

    // MARK: Using

    /// The owner of an open stream.
    package func owner(of key: StreamKey) -> (any StreamOwner)? { find(key).map { self[$0].owner } }

    /// Takes the credit for a `data` payload; `nil` if the stream is over.
    package mutating func takeCredit(_ key: StreamKey, payload count: Int) -> Bool? {
        guard let place = find(key) else { return nil }
        return self[place].state.takeCredit(forPayload: count)
    }

    /// Whether the next `data` frame has to say ``FrameHeader/Flags/heldUp``; asked once for each frame.
    package mutating func takeHeldUp(_ key: StreamKey) -> Bool {
        guard let place = find(key) else { return false }
        return self[place].state.takeHeldUp()
    }

    /// The largest `data` payload that may be sent now; `nil` if the stream is over.
    package func sendablePayload(_ key: StreamKey) -> Int? { find(key).map { self[$0].state.sendablePayload } }

    /// The owner's reader has taken a `data` payload of `count` bytes.
    ///
    /// - Returns: the credit to send; 0 for none.
    package mutating func consumed(_ key: StreamKey, payload count: Int) -> Int {
        guard let place = find(key) else { return 0 }
        var budget = budget
        defer { self.budget = budget }
        return self[place].state.consumedData(payload: count, budget: &budget)
    }

    /// Our last message goes out.
    ///
    /// - Returns: `false` if the stream is over already, so that nothing is to be sent.
    package mutating func sentLast(_ key: StreamKey) -> Bool {
        guard let place = find(key), !self[place].state.localEnded else { return false }
        self[place].state.sentLast()
        if self[place].state.isClosed { remove(at: place) }
        return true
    }

    /// Ends a stream at once.
    ///
    /// - Returns: its owner; `nil` if it is over already, so that nothing is to be sent.
    @discardableResult
    package mutating func remove(_ key: StreamKey) -> (any StreamOwner)? { find(key).map { remove(at: $0) } }

    /// Ends all streams whose other end matches.
    package mutating func removeAll(
        where isLost: (ContextAddress) -> Bool
    ) -> [(key: StreamKey, owner: any StreamOwner)] {
        let lost = keys.filter { isLost($0.opener == address ? $0.acceptor : $0.opener) }
        return lost.compactMap { key in remove(key).map { (key, $0) } }
    }

    // MARK: Entries

    private func find(_ key: StreamKey) -> Place? {
        if key.opener == address {
            guard let index = opened.index(forKey: key.number), opened.values[index].peer == key.acceptor else {
                return nil
            }
            return .opened(index)
        }
        return accepted.index(forKey: Origin(opener: key.opener, number: key.number)).map(Place.accepted)
    }

    private subscript(place: Place) -> Entry {
        get {
            switch place {
            case .opened(let index): opened.values[index]
            case .accepted(let index): accepted.values[index]
            }
        }
        _modify {
            switch place {
            case .opened(let index): yield &opened.values[index]
            case .accepted(let index): yield &accepted.values[index]
            }
        }
    }

    @discardableResult
    private mutating func remove(at place: Place) -> any StreamOwner {
        let entry: Entry
        switch place {
        case .opened(let index):
            entry = opened.remove(at: index).value
        case .accepted(let index):
            entry = accepted.remove(at: index).value
            if let share = share(of: entry.peer) { shares[share] = shares[share] == 1 ? nil : shares[share]! - 1 }
        }
        entry.state.release(to: &budget)
        return entry.owner
    }

    /// Whose share of the table an opener uses up: that of the child through which it is reached, 0 for one beside us.
    /// `nil` for one above us, which may use the whole.
    private func share(of opener: ContextAddress) -> UInt32? {
        opener.isAncestor(of: address) ? nil : address.childNumber(towards: opener) ?? 0
    }
}
