import CMartlet
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// This process's place in the tree: its links, the streams that end here, and those that it relays.
///
/// The decisions are `LinkNode`'s; this gives it threads and descriptors. Lock order: `state`, then a link's own.
final class ContextNode: Sendable {
    /// Answers a stream that another context opens: returns its owner, or why not. It must not block.
    typealias Acceptor =
        @Sendable (ContextNode, StreamKey, StreamKind, UnsafeRawBufferPointer, FrameHeader.Flags) ->
        Result<any StreamOwner, StreamRefusal>

    let address: ContextAddress
    let reactor: Reactor
    private let state: Mutex<State>
    private let acceptor: Acceptor
    private let onLost: @Sendable (ContextNode, Neighbour, LinkEnd) -> Void

    private struct State {
        var node: LinkNode<any StreamOwner>
        var links: [Neighbour: Link] = [:]
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

    func attach(_ link: Link) {
        state.withLock { $0.links[link.neighbour] = link }
    }

    func link(to neighbour: Neighbour) -> Link? {
        state.withLock { $0.links[neighbour] }
    }

    var links: [Link] { state.withLock { Array($0.links.values) } }
    var openStreams: Int { state.withLock { $0.node.streams.count } }

    /// A link is gone, or a child that was numbered never got one.
    func lose(_ neighbour: Neighbour, _ end: LinkEnd) {
        let (owners, resets, wasThere) = state.withLock { state in
            let wasThere = state.links.removeValue(forKey: neighbour) != nil
            let lost = state.node.lose(neighbour)
            let resets = lost.resets.compactMap { reset in state.links[reset.to].map { (reset.reset, $0) } }
            return (lost.owners, resets, wasThere)
        }
        let reason = ResetReason(.contextLost, end.description)
        for (header, link) in resets { send(header, reason.bytes, .control, over: link) }
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
        let (verdict, next) = state.withLock { state in
            let verdict = state.node.receive(header, from: link.neighbour, kind: kind, credit: credit)
            if case .forward(let neighbour) = verdict { return (verdict, state.links[neighbour]) }
            return (verdict, nil)
        }
        switch verdict {
        case .message(let owner): owner.received(header.kind, payload, header.flags)
        case .forward: next?.send(header, payload, header.priority)
        case .opened(let key, let kind): accept(key, kind, payload, header.flags)
        case .credit(let owner): owner.creditArrived()
        case .reset(let owner): owner.wasReset(ResetReason(bytes: payload))
        case .refuse(let key, let reason, let owner):
            sendReset(key, reason)
            owner?.wasReset(reason)
        case .drop: break
        case .violation(let what): link.end(.violated(what))
        }
    }

    private func accept(
        _ key: StreamKey,
        _ kind: StreamKind,
        _ payload: UnsafeRawBufferPointer,
        _ flags: FrameHeader.Flags
    ) {
        let rest = UnsafeRawBufferPointer(rebasing: payload.dropFirst())
        switch acceptor(self, key, kind, rest, flags) {
        case .failure(let refusal):
            sendReset(key, refusal.reason)
        case .success(let owner):
            state.withLock { $0.node.streams.accept(key, owner: owner, ended: flags.contains(.last)) }
            (owner as? any AcceptedStreamOwner)?.begin()
        }
    }

    // MARK: Opening and sending

    /// Opens a stream.
    ///
    /// - Parameters:
    ///   - payload: what follows the kind, at most ``maximumOpenPayload`` bytes.
    ///   - flags: `more`, `last` and `bulk` as wanted.
    /// - Returns: `nil` if no link leads to `acceptor`.
    func open(
        to acceptor: ContextAddress,
        _ kind: StreamKind,
        owner: any StreamOwner,
        payload: [UInt8],
        flags: FrameHeader.Flags
    ) -> StreamKey? {
        let opened = state.withLock { state -> (StreamKey, Link)? in
            guard let neighbour = state.node.route(to: acceptor), let link = state.links[neighbour] else { return nil }
            return (state.node.streams.open(to: acceptor, owner: owner, ended: flags.contains(.last)), link)
        }
        guard let (key, link) = opened else { return nil }
        let header = FrameHeader(
            .open,
            flags: flags.union(.fromOpener),
            stream: key.number,
            to: acceptor,
            from: address,
            payloadCount: payload.count + 1
        )
        withUnsafeTemporaryAllocation(byteCount: payload.count + 1, alignment: 8) { buffer in
            buffer[0] = kind.rawValue
            payload.withUnsafeBytes { bytes in
                if let base = bytes.baseAddress {
                    (buffer.baseAddress! + 1).copyMemory(from: base, byteCount: bytes.count)
                }
            }
            link.send(header, UnsafeRawBufferPointer(buffer), header.priority)
        }
        return key
    }

    static let maximumOpenPayload = FrameHeader.maximumPayload - 1

    /// What became of a message that was to be sent.
    enum SendResult: Sendable {
        case sent
        /// Wait for ``StreamOwner/creditArrived()`` and try again.
        case noCredit
        /// The stream is over.
        case closed
    }

    /// Sends a message, or a part of one, of at most ``FrameHeader/maximumPayload`` bytes.
    func sendData(
        _ key: StreamKey,
        _ payload: UnsafeRawBufferPointer,
        flags: FrameHeader.Flags = []
    ) -> SendResult {
        let (result, link) = state.withLock { state -> (SendResult, Link?) in
            switch state.node.streams.takeCredit(key, payload: payload.count) {
            case nil: (.closed, nil)
            case false?: (.noCredit, nil)
            case true?: (.sent, self.link(for: key, state))
            }
        }
        if let link {
            let header = header(.data, key, flags, payload.count)
            link.send(header, payload, header.priority)
        }
        return result
    }

    /// The largest payload that may be sent now; `nil` if the stream is over.
    func sendablePayload(_ key: StreamKey) -> Int? {
        state.withLock { $0.node.streams.sendablePayload(key) }
    }

    /// Sends the last message of this end.
    ///
    /// - Returns: `false` if the stream is over already.
    @discardableResult
    func sendEnd(_ key: StreamKey, _ payload: [UInt8] = [], flags: FrameHeader.Flags = []) -> Bool {
        let link = state.withLock { state -> Link? in
            guard state.node.streams.sentLast(key) else { return nil }
            return self.link(for: key, state)
        }
        guard let link else { return false }
        let header = header(.end, key, flags.union(.last), payload.count)
        payload.withUnsafeBytes { link.send(header, $0, header.priority) }
        return true
    }

    /// Ends a stream at once, here and at the other end.
    ///
    /// - Returns: `false` if it is over already.
    @discardableResult
    func reset(_ key: StreamKey, _ reason: ResetReason) -> Bool {
        guard state.withLock({ $0.node.streams.remove(key) }) != nil else { return false }
        sendReset(key, reason)
        return true
    }

    /// The owner has taken a `data` payload: lets the other end send more, when it is worth a frame.
    func consumed(_ key: StreamKey, payload count: Int) {
        let (credit, link) = state.withLock { state in
            let credit = state.node.streams.consumed(key, payload: count)
            return (credit, credit > 0 ? self.link(for: key, state) : nil)
        }
        guard let link else { return }
        var value = UInt32(credit).bigEndian
        withUnsafeBytes(of: &value) { link.send(header(.credit, key, [], 4), $0, .control) }
    }

    private func sendReset(_ key: StreamKey, _ reason: ResetReason) {
        guard let link = state.withLock({ link(for: key, $0) }) else { return }
        send(header(.reset, key, [], 0), reason.bytes, .control, over: link)
    }

    private func send(
        _ header: FrameHeader,
        _ payload: [UInt8],
        _ priority: Outbox<[UInt8]>.Priority,
        over link: Link
    ) {
        var header = header
        header.payloadCount = payload.count
        payload.withUnsafeBytes { link.send(header, $0, priority) }
    }

    /// The link towards the other end of a stream. A relay that refuses a stream answers its opener.
    private func link(for key: StreamKey, _ state: State) -> Link? {
        state.node.route(to: peer(of: key)).flatMap { state.links[$0] }
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

/// An owner that starts to work only once its stream is in the table.
protocol AcceptedStreamOwner: StreamOwner {
    func begin()
}

/// Why a stream that another context opened is not taken.
struct StreamRefusal: Error, Sendable {
    var reason: ResetReason
    init(_ code: ResetReason.Code, _ message: String) { reason = ResetReason(code, message) }
}

extension FrameHeader {
    /// How urgent the frame is where a link is full.
    var priority: Outbox<[UInt8]>.Priority {
        switch kind {
        case .open, .data, .end: flags.contains(.bulk) ? .bulk : .call
        default: .control
        }
    }
}
