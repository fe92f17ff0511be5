import MartletLink
import MartletReactor
import MartletWire
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Reading and parsing, on the polling thread.
extension Link {
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

    func parse() {
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
        default: tell(header, payload)
        }
    }
}
