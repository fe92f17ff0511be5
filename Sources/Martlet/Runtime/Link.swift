import CMartlet
import DequeModule
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The byte stream between a parent and a child, with frames on it.
///
/// Reading, relaying and heartbeats happen on the polling thread. Whoever sends writes at once from its own thread; what
/// the descriptor does not take waits in order of priority.
final class Link: EventHandler, Flushable {
    /// How much may be committed to the descriptor before frames wait by priority instead, in bytes.
    private static let commitLimit = 64 * 1024
    /// Frames that no stream's window bounds: a neighbour that lets so many wait does not read. Far above honest use.
    private static let urgentLimit = 131_072
    /// From this size on a frame is written from where it is, if nothing waits before it, in bytes.
    private static let directSize = 16 * 1024
    private static let readBufferSize = 256 * 1024

    let neighbour: Neighbour
    private let reactor: Reactor
    private let input: EventSource
    private let output: EventSource
    private let onFrame: @Sendable (Link, FrameHeader, UnsafeRawBufferPointer) -> Void
    private let onEnd: @Sendable (Link, LinkEnd) -> Void
    private let outgoing = Mutex(Outgoing())
    private let hearing: Mutex<Hearing>
    /// Written under the lock of `beatTimer`.
    private let over = Atomic(false)
    private let beatTimer = Mutex<Reactor.TimerToken?>(nil)
    /// As ``Outbox/relayedData``, for who has not the lock.
    private let waitingData = Atomic(0)
    /// Touched only by `ready`, which the reactor never calls twice at once, and by `start` before that.
    private nonisolated(unsafe) var incoming = Incoming()
    /// Takes the frames of streams, once the handshake is over. Touched as `incoming`.
    private nonisolated(unsafe) var node: ContextNode?

    private struct Outgoing {
        var committed: [UInt8] = []
        /// How much of `committed` is written.
        var offset = 0
        var outbox = Outbox()
        var isWaitingForFlush = false
        var isWaitingForDescriptor = false
        var isOver = false
        var bytesWritten: UInt64 = 0
        /// Who was turned away because the link was full.
        var turnedAway = Deque<any StreamOwner>()

        var isFull: Bool { !outbox.isEmpty || committed.count - offset >= commitLimit }
    }

    private struct Incoming {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readBufferSize, alignment: 16)
        /// Where the bytes begin and end that are not parsed yet.
        var start = 0
        var count = 0
    }

    private struct Hearing {
        var heartbeat: Heartbeat
        var bytesRead: UInt64 = 0
    }

    /// Takes both descriptors over.
    ///
    /// - Parameters:
    ///   - early: bytes that came behind the agent's marker and belong to the link.
    ///   - onFrame: gets each frame; the payload is valid during the call only.
    ///   - onEnd: called once.
    init(
        to neighbour: Neighbour,
        input: EventSource,
        output: EventSource,
        heartbeatLimit: UInt64,
        reactor: Reactor,
        onFrame: @escaping @Sendable (Link, FrameHeader, UnsafeRawBufferPointer) -> Void,
        onEnd: @escaping @Sendable (Link, LinkEnd) -> Void
    ) {
        self.neighbour = neighbour
        self.input = input
        self.output = output
        self.reactor = reactor
        self.onFrame = onFrame
        self.onEnd = onEnd
        hearing = Mutex(Hearing(heartbeat: Heartbeat(limit: heartbeatLimit, now: Reactor.now)))
    }

    deinit { incoming.buffer.deallocate() }

    /// Begins to read. `early` is what came behind the marker.
    func start(early: [UInt8] = []) {
        early.withUnsafeBytes { bytes in
            if !bytes.isEmpty {
                incoming.buffer.copyMemory(from: bytes)
                incoming.count = bytes.count
            }
        }
        if !early.isEmpty { parse() }
        guard !isOver else { return }
        do { try input.watch(for: .readable, self) } catch { end(.failed(error.description)) }
        beat()
    }

    static var maximumEarlyBytes: Int { readBufferSize }

    /// From now on the frames of streams go to `node`. Called by `onFrame`.
    func deliver(to node: ContextNode) { self.node = node }

    // MARK: Sending

    /// Sends a frame. The bytes are copied before this returns.
    ///
    /// - Parameters:
    ///   - first: a byte of the payload that goes before the others.
    ///   - source: the neighbour that sent it, if it is relayed.
    func send(
        _ header: FrameHeader,
        first: UInt8? = nil,
        _ payload: UnsafeRawBufferPointer,
        from source: Neighbour? = nil
    ) {
        outgoing.withLock { outgoing in
            guard !outgoing.isOver else { return }
            if payload.count >= Self.directSize, outgoing.offset == outgoing.committed.count, outgoing.outbox.isEmpty,
                !outgoing.isWaitingForDescriptor
            {
                writeDirectly(header, first, payload, &outgoing)
                if outgoing.committed.isEmpty { return }
            } else if outgoing.outbox.isEmpty, outgoing.committed.count - outgoing.offset < Self.commitLimit {
                Self.append(header, first, payload, to: &outgoing.committed)
            } else {
                var frame: [UInt8] = []
                frame.reserveCapacity(header.byteCount + header.payloadCount)
                Self.append(header, first, payload, to: &frame)
                outgoing.outbox.append(frame, header: header, from: source)
                waitingData.store(outgoing.outbox.relayedData, ordering: .relaxed)
                guard outgoing.outbox.urgentCount <= Self.urgentLimit else {
                    outgoing.isOver = true
                    reactor.schedule(at: Reactor.now) { [self] in end(.failed("it does not read what we send")) }
                    return
                }
            }
            guard !outgoing.isWaitingForFlush, !outgoing.isWaitingForDescriptor else { return }
            if reactor.flushSoon(self) { outgoing.isWaitingForFlush = true } else { write(&outgoing) }
        }
    }

    /// Whether bulk should wait where it is: it would only wait here instead, as a copy. If so, `owner` is told by
    /// ``StreamOwner/creditArrived()`` when there is room.
    func isFull(for owner: any StreamOwner) -> Bool {
        outgoing.withLock { outgoing in
            guard outgoing.isFull, !outgoing.isOver else { return false }
            if !outgoing.turnedAway.contains(where: { $0 === owner }) { outgoing.turnedAway.append(owner) }
            return true
        }
    }

    /// The bytes that wait here of what `neighbour` has sent beside all credit.
    func waiting(from neighbour: Neighbour) -> Int {
        outgoing.withLock { $0.outbox.waiting(from: neighbour) }
    }

    /// The bytes of `data` that wait here of what `neighbour` has sent, if all children's together are more than `limit`;
    /// else 0, without any lock.
    func waitingData(from neighbour: Neighbour, ifAbove limit: Int) -> Int {
        guard waitingData.load(ordering: .relaxed) > limit else { return 0 }
        return outgoing.withLock { $0.outbox.waitingData(from: neighbour) }
    }

    /// Tells the neighbour that no more will come from here: a child drains and exits. See ``Goodbye``.
    func sendGoodbye(_ goodbye: Goodbye = .now) {
        let payload = goodbye.payload
        payload.withUnsafeBytes { send(FrameHeader(.goodbye, payloadCount: payload.count), $0) }
    }

    private static func append(
        _ header: FrameHeader,
        _ first: UInt8?,
        _ payload: UnsafeRawBufferPointer,
        to bytes: inout [UInt8]
    ) {
        bytes.append(addingCapacity: header.byteCount) { header.write(to: $0) }
        if let first { bytes.append(first) }
        bytes.append(contentsOf: payload)
    }

    /// Writes a large frame from where it is. What the descriptor does not take is copied.
    private func writeDirectly(
        _ header: FrameHeader, _ first: UInt8?, _ payload: UnsafeRawBufferPointer, _ outgoing: inout Outgoing
    ) {
        outgoing.offset = 0
        outgoing.committed.removeAll(keepingCapacity: true)
        Self.append(header, first, UnsafeRawBufferPointer(start: nil, count: 0), to: &outgoing.committed)
        let headCount = outgoing.committed.count
        let count = outgoing.committed.withUnsafeMutableBytes { head in
            var parts = (
                iovec(iov_base: head.baseAddress, iov_len: headCount),
                iovec(iov_base: UnsafeMutableRawPointer(mutating: payload.baseAddress), iov_len: payload.count)
            )
            return withUnsafeBytes(of: &parts) {
                writev(output.descriptor, $0.baseAddress!.assumingMemoryBound(to: iovec.self), 2)
            }
        }
        outgoing.bytesWritten += UInt64(max(0, count))
        if count == headCount + payload.count {
            outgoing.committed.removeAll(keepingCapacity: true)
        } else if count >= headCount {
            outgoing.committed.removeAll(keepingCapacity: true)
            outgoing.committed.append(contentsOf: payload[(count - headCount)...])
        } else {
            outgoing.offset = max(0, count)
            outgoing.committed.append(contentsOf: payload)
        }
    }

    func flush() {
        outgoing.withLock { outgoing in
            outgoing.isWaitingForFlush = false
            write(&outgoing)
        }
        // Whatever is full waits for the descriptor or for a flush: so this is the only place where room appears. One after
        // the other: who fills the link again is told again behind the others.
        while let owner = outgoing.withLock({ $0.isFull ? nil : $0.turnedAway.popFirst() }) { owner.creditArrived() }
    }

    private func write(_ outgoing: inout Outgoing) {
        while !outgoing.isOver {
            if outgoing.offset == outgoing.committed.count {
                outgoing.offset = 0
                if outgoing.committed.capacity > 4 * Self.commitLimit {
                    outgoing.committed = []
                } else {
                    outgoing.committed.removeAll(keepingCapacity: true)
                }
                while outgoing.committed.count < Self.commitLimit, let frame = outgoing.outbox.next() {
                    // A large frame is not copied: it goes out by itself.
                    if outgoing.committed.isEmpty, frame.count >= Self.commitLimit / 2 {
                        outgoing.committed = frame
                        break
                    }
                    outgoing.committed.append(contentsOf: frame)
                }
                waitingData.store(outgoing.outbox.relayedData, ordering: .relaxed)
                if outgoing.committed.isEmpty { break }
            }
            let count = outgoing.committed.withUnsafeBytes {
                writeBytes(output.descriptor, $0.baseAddress! + outgoing.offset, $0.count - outgoing.offset)
            }
            if count >= 0 {
                outgoing.offset += count
                outgoing.bytesWritten += UInt64(count)
            } else if errno == EAGAIN {
                if !outgoing.isWaitingForDescriptor {
                    outgoing.isWaitingForDescriptor = true
                    // Input and output may be one socket: then both are watched together.
                    try? output.watch(for: output === input ? [.readable, .writable] : .writable, self)
                }
                return
            } else if errno != EINTR {
                let reason = SystemError.text(errno)
                outgoing.isOver = true
                // The other end may have said why on its way out: what it wrote is still read.
                reactor.schedule(at: Reactor.now + 200_000_000) { [self] in end(.failed("write: \(reason)")) }
                return
            }
        }
        if outgoing.isWaitingForDescriptor {
            outgoing.isWaitingForDescriptor = false
            try? output.watch(for: output === input ? .readable : [], self)
        }
    }

    // MARK: Receiving

    func ready(_ readiness: Readiness) {
        if readiness.contains(.writable), outgoing.withLock({ $0.isWaitingForDescriptor }) { flush() }
        guard readiness.contains(.readable) else { return }
        // A few reads at most: other links want their turn.
        for _ in 0..<4 {
            let room = incoming.buffer.count - incoming.count
            let count = readBytes(input.descriptor, incoming.buffer.baseAddress! + incoming.count, room)
            if count > 0 {
                incoming.count += count
                let now = Reactor.now
                hearing.withLock { hearing in
                    hearing.bytesRead += UInt64(count)
                    hearing.heartbeat.heard(now: now)
                }
                parse()
                if count < room || isOver { return }
            } else if count == 0 {
                return end(.closed)
            } else if errno == EAGAIN || errno == EINTR {
                return
            } else {
                return end(.failed("read: \(SystemError.text(errno))"))
            }
        }
    }

    private func parse() {
        var offset = 0
        let bytes = UnsafeRawBufferPointer(rebasing: incoming.buffer[incoming.start..<incoming.count])
        loop: while offset < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            switch FrameHeader.parse(rest) {
            case .incomplete:
                break loop
            case .malformed(let what):
                end(.violated(what))
                return
            case .header(let header, let headerCount):
                guard rest.count >= headerCount + header.payloadCount else { break loop }
                let payload = UnsafeRawBufferPointer(rebasing: rest[headerCount..<headerCount + header.payloadCount])
                offset += headerCount + header.payloadCount
                received(header, payload)
                if isOver { return }
            }
        }
        incoming.start += offset
        if incoming.start == incoming.count {
            (incoming.start, incoming.count) = (0, 0)
        } else if incoming.buffer.count - incoming.start < 2
            * (FrameHeader.maximumByteCount + FrameHeader.maximumPayload)
        {
            let base = incoming.buffer.baseAddress!
            incoming.count -= incoming.start
            memmove(base, base + incoming.start, incoming.count)
            incoming.start = 0
        }
    }

    private func received(_ header: FrameHeader, _ payload: UnsafeRawBufferPointer) {
        if let node, !header.kind.isLinkLocal { return node.receive(self, header, payload) }
        switch header.kind {
        case .ping: send(FrameHeader(.pong), UnsafeRawBufferPointer(start: nil, count: 0))
        case .pong: break
        default: onFrame(self, header, payload)
        }
    }

    // MARK: Life

    private func beat() {
        let now = Reactor.now
        let (action, next, limit) = hearing.withLock { hearing in
            (hearing.heartbeat.tick(now: now), hearing.heartbeat.nextTick, hearing.heartbeat.limit)
        }
        switch action {
        case .lost:
            return end(.silent(seconds: Double(limit) / 1e9))
        case .ping:
            send(FrameHeader(.ping), UnsafeRawBufferPointer(start: nil, count: 0))
        case .none:
            break
        }
        beatTimer.withLock { timer in
            guard !isOver else { return }
            timer = reactor.schedule(at: max(next, Reactor.now + 1_000_000)) { [weak self] in self?.beat() }
        }
    }

    /// Sets how long the neighbour may be silent, in nanoseconds.
    func setHeartbeatLimit(_ limit: UInt64) {
        hearing.withLock { $0.heartbeat = Heartbeat(limit: limit, now: Reactor.now) }
        let timer = beatTimer.withLock { $0 }
        if let timer, reactor.cancel(timer) { beat() }
    }

    var isOver: Bool { over.load(ordering: .relaxed) }

    /// Whether all that was sent has been given to the descriptor.
    var isDrained: Bool {
        outgoing.withLock { $0.isOver || ($0.offset == $0.committed.count && $0.outbox.isEmpty) }
    }

    /// Bytes that have crossed this link.
    var traffic: (sent: UInt64, received: UInt64) {
        (outgoing.withLock { $0.bytesWritten }, hearing.withLock { $0.bytesRead })
    }

    /// Ends the link: both descriptors are closed and `onEnd` is told, once.
    func end(_ reason: LinkEnd) {
        let isFirst = beatTimer.withLock { timer in
            guard !over.exchange(true, ordering: .relaxed) else { return false }
            if let timer { reactor.cancel(timer) }
            return true
        }
        guard isFirst else { return }
        outgoing.withLock { outgoing in
            // A last word, if it fits.
            if outgoing.offset < outgoing.committed.count { write(&outgoing) }
            outgoing.isOver = true
            outgoing.outbox = Outbox()
            outgoing.turnedAway = []
        }
        input.close()
        output.close()
        onEnd(self, reason)
    }
}

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

/// Why a link ended.
enum LinkEnd: Sendable, CustomStringConvertible {
    /// The other end closed it.
    case closed
    /// The other end closed it because the program that held it ended, the agent itself or the one in front of it.
    case ended(ExitStatus)
    /// We closed it.
    case finished
    /// The context below it lives on without it.
    case detached
    case silent(seconds: Double)
    case violated(String)
    case failed(String)

    /// Whether this end asked for it.
    var isWanted: Bool {
        switch self {
        case .finished, .detached: true
        default: false
        }
    }

    var isDetached: Bool { if case .detached = self { true } else { false } }

    var description: String {
        switch self {
        case .closed: "the connection was closed by the other side"
        case .ended(.exited(let code)):
            "the connection was closed by the other side: its process exited with code \(code)"
        case .ended(.signalled(let signal)):
            "the connection was closed by the other side: its process was ended by signal \(SignalName.of(signal))"
        case .finished: "the connection was closed"
        case .detached: "the context was detached, and lives on by itself"
        case .silent(let seconds): "nothing was heard for \(Int(seconds)) second\(Int(seconds) == 1 ? "" : "s")"
        case .violated(let what): "the other side broke the protocol: \(what)"
        case .failed(let what): "the connection failed: \(what)"
        }
    }
}
