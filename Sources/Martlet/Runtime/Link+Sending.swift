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

/// Whoever sends writes at once, from its own thread; what the descriptor does not take waits in order of priority.
extension Link {
    /// Frames that no stream's window bounds: a neighbour that lets so many wait does not read. Far above honest use.
    private static let urgentLimit = 131_072
    /// From this size on a frame is written from where it is, if nothing waits before it, in bytes.
    private static let directSize = 16 * 1024

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

    func write(_ outgoing: inout Outgoing) {
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
}
