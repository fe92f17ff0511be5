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
    static let commitLimit = 64 * 1024
    static let readBufferSize = 256 * 1024

    let neighbour: Neighbour
    let reactor: Reactor
    let input: EventSource
    let output: EventSource
    /// `nil` when it is over: who holds this link is not held by it then.
    private let owner: Mutex<Owner?>
    let outgoing = Mutex(Outgoing())
    let hearing: Mutex<Hearing>
    /// Written under the lock of `beatTimer`.
    let over = Atomic(false)
    let beatTimer = Mutex<Reactor.TimerToken?>(nil)
    /// As ``Outbox/relayedData``, for who has not the lock.
    let waitingData = Atomic(0)
    /// Touched only by `ready`, which the reactor never calls twice at once, and by `start` before that.
    nonisolated(unsafe) var incoming = Incoming()
    /// Takes the frames of streams, once the handshake is over. Touched as `incoming`.
    nonisolated(unsafe) var node: ContextNode?

    private struct Owner {
        var onFrame: @Sendable (Link, FrameHeader, UnsafeRawBufferPointer) -> Void
        var onEnd: @Sendable (Link, LinkEnd) -> Void
    }

    struct Outgoing {
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

    struct Incoming {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readBufferSize, alignment: 16)
        /// Where the bytes begin and end that are not parsed yet.
        var start = 0
        var count = 0
    }

    struct Hearing {
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
        owner = Mutex(Owner(onFrame: onFrame, onEnd: onEnd))
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

    /// For how many seconds this process stood still until a moment ago, if so long that the neighbour may have given it up.
    var pause: UInt64? {
        let now = Reactor.now
        return hearing.withLock { $0.heartbeat.pause(now: now) }.map { $0 / 1_000_000_000 }
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
        let owner = owner.withLock { owner in
            defer { owner = nil }
            return owner
        }
        owner?.onEnd(self, reason)
    }

    /// Hands a frame that is no stream's to the owner.
    func tell(_ header: FrameHeader, _ payload: UnsafeRawBufferPointer) {
        owner.withLock { $0 }?.onFrame(self, header, payload)
    }
}
