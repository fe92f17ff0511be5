/// What a run of received bytes begins with.
package enum FrameParse: Equatable, Sendable {
    /// Not even the header is whole: wait for more.
    case incomplete
    /// A whole header of `headerCount` bytes. The payload may still be on its way.
    case header(FrameHeader, headerCount: Int)
    /// No peer that speaks this protocol sends this: the link is of no more use.
    case malformed(String)
}

extension FrameHeader.Kind {
    fileprivate func allows(_ flags: FrameHeader.Flags) -> Bool {
        guard allowedFlags.isSuperset(of: flags) else { return false }
        // Only an opener opens, and a message that goes on is not the last one.
        return self != .open || flags.contains(.fromOpener) && !(flags.contains(.more) && flags.contains(.last))
    }

    /// Frames that cost no credit are kept as small as their meaning allows, and who opens says what.
    fileprivate func allows(payloadCount count: Int) -> Bool {
        switch self {
        case .open: 1...FrameHeader.maximumPayload ~= count
        case .credit: count == 4
        case .reset: count <= ResetReason.maximumByteCount
        default: count <= FrameHeader.maximumPayload
        }
    }
}

extension FrameHeader {
    /// Reads the header at the beginning of `bytes`.
    package static func parse(_ bytes: UnsafeRawBufferPointer) -> FrameParse {
        guard bytes.count >= fixedByteCount else { return .incomplete }
        guard let kind = Kind(rawValue: bytes[0]) else { return .malformed("unknown frame kind \(bytes[0])") }
        let flags = Flags(rawValue: bytes[1])
        guard kind.allows(flags) else { return .malformed("frame flags \(bytes[1]) on \(kind)") }
        let payloadCount = Int(bytes[2]) &<< 8 | Int(bytes[3])
        guard kind.allows(payloadCount: payloadCount) else {
            return .malformed("\(kind) with a payload of \(payloadCount) bytes")
        }
        let stream = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        let destinationCount = Int(bytes[8])
        let sourceCount = Int(bytes[9])
        guard destinationCount <= ContextAddress.maximumByteCount, sourceCount <= ContextAddress.maximumByteCount else {
            return .malformed("address of \(max(destinationCount, sourceCount)) bytes")
        }
        let headerCount = fixedByteCount + destinationCount + sourceCount
        guard bytes.count >= headerCount else { return .incomplete }
        if kind.isLinkLocal, headerCount != fixedByteCount { return .malformed("addresses in a link's own frame") }
        let middle = fixedByteCount + destinationCount
        guard let destination = ContextAddress(wire: UnsafeRawBufferPointer(rebasing: bytes[fixedByteCount..<middle])),
            let source = ContextAddress(wire: UnsafeRawBufferPointer(rebasing: bytes[middle..<headerCount]))
        else { return .malformed("address not in its shortest form") }
        let header = FrameHeader(
            kind,
            flags: flags,
            stream: stream,
            to: destination,
            from: source,
            payloadCount: payloadCount
        )
        return .header(header, headerCount: headerCount)
    }

    /// Writes the header to `destination`, which must have room for ``byteCount`` bytes.
    package func write(to pointer: UnsafeMutableRawPointer) {
        precondition(payloadCount <= Self.maximumPayload)
        pointer.storeBytes(of: kind.rawValue, as: UInt8.self)
        pointer.storeBytes(of: flags.rawValue, toByteOffset: 1, as: UInt8.self)
        pointer.storeBytes(of: UInt16(payloadCount).bigEndian, toByteOffset: 2, as: UInt16.self)
        pointer.storeBytes(of: stream.bigEndian, toByteOffset: 4, as: UInt32.self)
        pointer.storeBytes(of: UInt8(destination.byteCount), toByteOffset: 8, as: UInt8.self)
        pointer.storeBytes(of: UInt8(source.byteCount), toByteOffset: 9, as: UInt8.self)
        destination.write(to: pointer + Self.fixedByteCount)
        source.write(to: pointer + Self.fixedByteCount + destination.byteCount)
    }

    /// The header as bytes, for tests and for rare frames.
    package var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            write(to: UnsafeMutableRawPointer(buffer.baseAddress!))
            count = byteCount
        }
    }
}
