import CMartlet
package import MartletLink
package import MartletReactor
package import MartletWire
import Synchronization

/// This process's place in the tree: its links, the streams that end here, and those that it relays.
///
/// The decisions are `LinkNode`'s; this gives it threads and descriptors. A frame goes to its link under the same lock
/// under which its stream was looked at, so that the order on the link is the order of the decisions. Lock order: `state`,
/// then a link's own, then the reactor's.
package final class ContextNode: Sendable {
    /// Answers a stream that another context opens: returns its owner, or why not. It must not block.
    typealias Acceptor =
        @Sendable (ContextNode, StreamKey, StreamKind, UnsafeRawBufferPointer, FrameHeader.Flags) ->
        Result<any AcceptedStreamOwner, StreamRefusal>

    package let address: ContextAddress
    package let reactor: Reactor
    private let state: Mutex<State>
    private let acceptor: Acceptor
    private let onLost: @Sendable (ContextNode, Neighbour, LinkEnd) -> Void

    private struct State {
        var node: LinkNode
        var parent: Link?
        var children: [UInt32: Link] = [:]

        subscript(neighbour: Neighbour) -> Link? {
            get {
                switch neighbour {
                case .parent: parent
                case .child(let number): children[number]
                }
            }
            set {
                switch neighbour {
                case .parent: parent = newValue
                case .child(let number): children[number] = newValue
                }
            }
        }
    }

    init(
        address: ContextAddress,
        hasParent: Bool,
        limits: StreamLimits = .init(),
        reactor: Reactor,
        acceptor: @escaping Acceptor,
        onLost: @escaping @Sendable (ContextNode, Neighbour, LinkEnd) -> Void
    ) {
        self.address = address
        self.reactor = reactor
        self.acceptor = acceptor
        self.onLost = onLost
        state = Mutex(State(node: LinkNode(address: address, hasParent: hasParent, limits: limits)))
    }

    // MARK: Links

    /// Takes the next number for a child.
    func addChild() -> (number: UInt32, address: ContextAddress)? {
        state.withLock { $0.node.addChild() }
    }

    /// Takes a link into use: its streams' frames come here from now on. Called by the link's `onFrame`.
    func attach(_ link: Link) {
        state.withLock { $0[link.neighbour] = link }
        link.deliver(to: self)
    }

    func link(to neighbour: Neighbour) -> Link? {
        state.withLock { $0[neighbour] }
    }

    var links: [Link] { state.withLock { ($0.parent.map { [$0] } ?? []) + $0.children.values } }
    var openStreams: Int { state.withLock { $0.node.streams.count } }

    /// A link is gone, or a child that was numbered never got one.
    func lose(_ neighbour: Neighbour, _ end: LinkEnd) {
        var text = end.description
        if !end.isWanted, let pause = link(to: neighbour)?.pause {
            text += " after this side of it had stood still for \(pause) second\(pause == 1 ? "" : "s"): "
            text += "it was stopped, or had no processor"
        }
        let reason = ResetReason(end.isDetached ? .contextDetached : .contextLost, text)
        let (owners, wasThere) = state.withLock { state in
            let wasThere = state[neighbour] != nil
            state[neighbour] = nil
            let lost = state.node.lose(neighbour)
            for (header, to) in lost.resets {
                // Behind what the lost end has sent before.
                var header = header
                header.flags.insert(.bulk)
                Self.send(header, reason.bytes, over: state[to])
            }
            return (lost.owners, wasThere)
        }
        for owner in owners { owner.wasReset(reason) }
        if wasThere { onLost(self, neighbour, end) }
    }

    // MARK: Receiving

    /// Takes in a frame that came over `link`.
    func receive(_ link: Link, _ header: FrameHeader, _ payload: UnsafeRawBufferPointer) {
        let kind = header.kind == .open ? payload.first.flatMap(StreamKind.init(rawValue:)) : nil
        var credit = 0
        if header.kind == .credit, payload.count == 4 {
            credit = Int(UInt32(bigEndian: payload.loadUnaligned(as: UInt32.self)))
        }
        let verdict = state.withLock { state in
            let verdict = state.node.receive(header, from: link.neighbour, kind: kind, credit: credit)
            switch verdict {
            case .forward(let neighbour): forward(header, payload, from: link, to: neighbour, &state)
            case .refuse(let key, let reason, _): sendReset(key, reason, state)
            default: break
            }
            return verdict
        }
        switch verdict {
        case .message(let owner): owner.received(header.kind, payload, header.flags)
        case .opened(let key, let kind): accept(link, key, kind, payload, header.flags)
        case .credit(let owner): owner.creditArrived()
        case .reset(let owner): owner.wasReset(ResetReason(bytes: payload))
        case .refuse(_, let reason, let owner): owner?.wasReset(reason)
        case .forward, .drop: break
        case .violation(let what): link.end(.violated(what))
        }
    }

    private func forward(
        _ header: FrameHeader,
        _ payload: UnsafeRawBufferPointer,
        from source: Link,
        to neighbour: Neighbour,
        _ state: inout State
    ) {
        guard let link = state[neighbour] else { return }
        let waiting: Int
        switch header.kind {
        case .open, .end, .reset: waiting = link.waiting(from: source.neighbour)
        case .data:
            // One frame below the bound, so that what is small passes without a look at the accounts.
            let limit = state.node.maximumRelayedData - 2 * FrameHeader.maximumPayload
            waiting = link.waitingData(from: source.neighbour, ifAbove: limit)
        default: return link.send(header, payload)
        }
        switch state.node.relay(header, waiting: waiting) {
        case .whole:
            link.send(header, payload, from: source.neighbour)
        case .codeOnly:
            let code = UnsafeRawBufferPointer(rebasing: payload.prefix(1))
            var header = header
            header.payloadCount = code.count
            link.send(header, code, from: source.neighbour)
        case .resets(let onward, let back):
            let reason = ResetReason(.limitExceeded, "too much waits at \(address) for a slower link")
            if let onward { Self.send(onward, reason.bytes, over: link) }
            Self.send(back, reason.bytes, over: source)
        }
    }

    private func accept(
        _ link: Link,
        _ key: StreamKey,
        _ kind: StreamKind,
        _ payload: UnsafeRawBufferPointer,
        _ flags: FrameHeader.Flags
    ) {
        let rest = UnsafeRawBufferPointer(rebasing: payload.dropFirst())
        switch acceptor(self, key, kind, rest, flags) {
        case .failure(let refusal):
            state.withLock { sendReset(key, refusal.reason, $0) }
        case .success(let owner):
            let isThere = state.withLock { state in
                // The link may have been lost since the frame was looked at: then nobody would ever end the stream.
                guard state[link.neighbour] === link else { return false }
                state.node.streams.accept(key, owner: owner, ended: flags.contains(.last))
                return true
            }
            if isThere { owner.begin() }
        }
    }

    // MARK: Opening and sending

    /// Opens a stream.
    ///
    /// - Parameters:
    ///   - payload: what follows the kind, at most ``maximumOpenPayload`` bytes.
    ///   - flags: `more`, `last` and `bulk` as wanted.
    /// - Returns: `nil` if no link leads to `acceptor`.
    package func open(
        to acceptor: ContextAddress,
        _ kind: StreamKind,
        owner: any StreamOwner,
        payload: [UInt8],
        flags: FrameHeader.Flags
    ) -> StreamKey? {
        payload.withUnsafeBytes { bytes in
            state.withLock { state in
                guard let neighbour = state.node.route(to: acceptor), let link = state[neighbour] else { return nil }
                let key = state.node.streams.open(to: acceptor, owner: owner, ended: flags.contains(.last))
                // Before anything can come back.
                owner.opened(key)
                link.send(header(.open, key, flags, bytes.count + 1), first: kind.rawValue, bytes)
                return key
            }
        }
    }

    package static let maximumOpenPayload = FrameHeader.maximumPayload - 1

    /// What became of a message that was to be sent.
    package enum SendResult: Sendable {
        case sent
        /// Wait for ``StreamOwner/creditArrived()`` and try again.
        case noCredit
        /// The stream is over.
        case closed
    }

    /// Sends a message, or a part of one, of at most ``FrameHeader/maximumPayload`` bytes.
    package func sendData(
        _ key: StreamKey,
        _ payload: UnsafeRawBufferPointer,
        flags: FrameHeader.Flags = []
    ) -> SendResult {
        state.withLock { state in
            guard let taken = state.node.streams.takeCredit(key, payload: payload.count) else { return .closed }
            guard taken else { return .noCredit }
            var flags = flags
            if state.node.streams.takeHeldUp(key) { flags.insert(.heldUp) }
            link(for: key, state)?.send(header(.data, key, flags, payload.count), payload)
            return .sent
        }
    }

    /// The largest payload that should be sent now as bulk; `nil` if the stream is over. None while the link is full: what is
    /// sent all the same waits there as a copy. ``StreamOwner/creditArrived()`` tells when to ask again.
    package func sendablePayload(_ key: StreamKey) -> Int? {
        state.withLock { state in
            guard let payload = state.node.streams.sendablePayload(key) else { return nil }
            if let owner = state.node.streams.owner(of: key), link(for: key, state)?.isFull(for: owner) == true {
                return 0
            }
            return payload
        }
    }

    /// Sends the last message of this end.
    ///
    /// - Returns: `false` if the stream is over already.
    @discardableResult
    package func sendEnd(_ key: StreamKey, _ payload: [UInt8] = [], flags: FrameHeader.Flags = []) -> Bool {
        state.withLock { state in
            guard state.node.streams.sentLast(key) else { return false }
            let header = header(.end, key, flags.union(.last), payload.count)
            payload.withUnsafeBytes { link(for: key, state)?.send(header, $0) }
            return true
        }
    }

    /// Ends a stream at once, here and at the other end.
    ///
    /// - Returns: `false` if it is over already.
    @discardableResult
    package func reset(_ key: StreamKey, _ reason: ResetReason) -> Bool {
        state.withLock { state in
            guard state.node.streams.remove(key) != nil else { return false }
            sendReset(key, reason, state)
            return true
        }
    }

    /// Ends all streams that others have opened to this context: their tasks are cancelled, their programs ended. What was
    /// sent on them before arrives before that.
    func endAccepted(_ reason: ResetReason) {
        let owners = state.withLock { state in
            state.node.streams.keys.filter { $0.opener != address }.compactMap { key -> (any StreamOwner)? in
                let owner = state.node.streams.remove(key)
                sendReset(key, reason, state, flags: .bulk)
                return owner
            }
        }
        for owner in owners { owner.wasReset(reason) }
    }

    /// The owner has taken a `data` payload: lets the other end send more, when it is worth a frame.
    package func consumed(_ key: StreamKey, payload count: Int) {
        state.withLock { state in
            let credit = state.node.streams.consumed(key, payload: count)
            guard credit > 0 else { return }
            var value = UInt32(credit).bigEndian
            withUnsafeBytes(of: &value) { link(for: key, state)?.send(header(.credit, key, [], 4), $0) }
        }
    }

    private func sendReset(
        _ key: StreamKey, _ reason: ResetReason, _ state: State, flags: FrameHeader.Flags = []
    ) {
        Self.send(header(.reset, key, flags, 0), reason.bytes, over: link(for: key, state))
    }

    private static func send(_ header: FrameHeader, _ payload: [UInt8], over link: Link?) {
        var header = header
        header.payloadCount = payload.count
        payload.withUnsafeBytes { link?.send(header, $0) }
    }

    /// The link towards the other end of a stream. A relay that refuses a stream answers its opener.
    private func link(for key: StreamKey, _ state: State) -> Link? {
        state.node.route(to: peer(of: key)).flatMap { state[$0] }
    }

    private func peer(of key: StreamKey) -> ContextAddress { key.opener == address ? key.acceptor : key.opener }

    private func header(
        _ kind: FrameHeader.Kind,
        _ key: StreamKey,
        _ flags: FrameHeader.Flags,
        _ count: Int
    ) -> FrameHeader {
        let isOpener = key.opener == address
        return FrameHeader(
            kind,
            flags: isOpener ? flags.union(.fromOpener) : flags,
            stream: key.number,
            to: isOpener ? key.acceptor : key.opener,
            from: isOpener ? key.opener : key.acceptor,
            payloadCount: count
        )
    }
}

/// The owner of a stream that another context opened.
protocol AcceptedStreamOwner: StreamOwner {
    /// The stream is in the table: time to start to work.
    func begin()
}

extension AcceptedStreamOwner {
    func begin() {}
}

/// Why a stream that another context opened is not taken.
struct StreamRefusal: Error, Sendable {
    var reason: ResetReason
    init(_ code: ResetReason.Code, _ message: String) { reason = ResetReason(code, message) }
}
