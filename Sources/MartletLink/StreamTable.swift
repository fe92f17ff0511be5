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

    /// Where a stream's entry is, and where the look-up by which it was found.
    private struct Place {
        enum Index {
            case opened(Dictionary<UInt32, Int>.Index)
            case accepted(Dictionary<Origin, Int>.Index)
        }

        var slot: Int
        var index: Index
    }

    private let address: ContextAddress
    private let limits: StreamLimits
    /// Apart from the dictionaries, which would copy a whole entry to look at one field of it.
    private var slots: [Entry?] = []
    private var freeSlots: [Int] = []
    private var opened: [UInt32: Int] = [:]
    private var accepted: [Origin: Int] = [:]
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
        opened.map { StreamKey(opener: address, acceptor: slots[$0.value]!.peer, number: $0.key) }
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
        opened[lastNumber] = add(entry)
        return StreamKey(opener: address, acceptor: acceptor, number: lastNumber)
    }

    /// Takes a stream that was reported as ``Event/opened(_:)``.
    ///
    /// - Parameter ended: the `open` frame was also the opener's last.
    package mutating func accept(_ key: StreamKey, owner: any StreamOwner, ended: Bool) {
        var entry = Entry(owner: owner, peer: key.opener)
        if ended { _ = entry.state.receivedLast() }
        let old = accepted.updateValue(add(entry), forKey: Origin(opener: key.opener, number: key.number))
        assert(key.acceptor == address && key.opener != address && old == nil)
        if let share = share(of: key.opener) { shares[share, default: 0] += 1 }
    }

    // MARK: Receiving

    /// Takes in a frame whose destination is this context and whose source was checked.
    package mutating func receive(_ header: FrameHeader, credit: Int = 0) -> Event {
        let key = header.streamKey
        guard header.kind != .open else { return receiveOpen(key, header) }
        guard let place = find(key) else { return .stale }
        let owner = slots[place.slot]!.owner
        let isLegal: Bool
        switch header.kind {
        case .data:
            isLegal = slots[place.slot]!.state.receivedData(
                payload: header.payloadCount,
                heldUp: header.flags.contains(.heldUp)
            )
        case .end:
            isLegal = slots[place.slot]!.state.receivedLast()
            if isLegal, slots[place.slot]!.state.isClosed { remove(at: place) }
        case .credit:
            isLegal = slots[place.slot]!.state.receivedCredit(credit)
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
    package func owner(of key: StreamKey) -> (any StreamOwner)? { find(key).map { slots[$0.slot]!.owner } }

    /// Takes the credit for a `data` payload; `nil` if the stream is over.
    package mutating func takeCredit(_ key: StreamKey, payload count: Int) -> Bool? {
        guard let place = find(key) else { return nil }
        return slots[place.slot]!.state.takeCredit(forPayload: count)
    }

    /// Whether the next `data` frame has to say ``FrameHeader/Flags/heldUp``; asked once for each frame.
    package mutating func takeHeldUp(_ key: StreamKey) -> Bool {
        guard let place = find(key) else { return false }
        return slots[place.slot]!.state.takeHeldUp()
    }

    /// The largest `data` payload that may be sent now; `nil` if the stream is over.
    package func sendablePayload(_ key: StreamKey) -> Int? { find(key).map { slots[$0.slot]!.state.sendablePayload } }

    /// The owner's reader has taken a `data` payload of `count` bytes.
    ///
    /// - Returns: the credit to send; 0 for none.
    package mutating func consumed(_ key: StreamKey, payload count: Int) -> Int {
        guard let place = find(key) else { return 0 }
        return slots[place.slot]!.state.consumedData(payload: count, budget: &budget)
    }

    /// Our last message goes out.
    ///
    /// - Returns: `false` if the stream is over already, so that nothing is to be sent.
    package mutating func sentLast(_ key: StreamKey) -> Bool {
        guard let place = find(key), !slots[place.slot]!.state.localEnded else { return false }
        slots[place.slot]!.state.sentLast()
        if slots[place.slot]!.state.isClosed { remove(at: place) }
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

    private mutating func add(_ entry: Entry) -> Int {
        guard let slot = freeSlots.popLast() else {
            slots.append(entry)
            return slots.count - 1
        }
        slots[slot] = entry
        return slot
    }

    private func find(_ key: StreamKey) -> Place? {
        if key.opener == address {
            guard let index = opened.index(forKey: key.number) else { return nil }
            let slot = opened.values[index]
            return slots[slot]!.peer == key.acceptor ? Place(slot: slot, index: .opened(index)) : nil
        }
        guard let index = accepted.index(forKey: Origin(opener: key.opener, number: key.number)) else { return nil }
        return Place(slot: accepted.values[index], index: .accepted(index))
    }

    @discardableResult
    private mutating func remove(at place: Place) -> any StreamOwner {
        let entry = slots[place.slot]!
        slots[place.slot] = nil
        freeSlots.append(place.slot)
        switch place.index {
        case .opened(let index):
            opened.remove(at: index)
        case .accepted(let index):
            accepted.remove(at: index)
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
