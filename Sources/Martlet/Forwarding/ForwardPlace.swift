/// A port or a Unix socket: where to listen, or what to connect to.
public enum ForwardPlace: Hashable, Sendable, CustomStringConvertible {
    /// A TCP port. To listen, 0 is any that is free, and the host is the address to bind: without one the loopback, `*` all. To
    /// connect, the default is `localhost`.
    case port(UInt16, host: String? = nil)
    /// A socket's path.
    case socket(String)

    /// `localhost:80`, `[::1]:80`, or the path.
    public var description: String {
        switch self {
        case .port(let port, let host):
            let host = host ?? "localhost"
            return host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .socket(let path): return path
        }
    }
}

/// What a context is to join a stream with, as it stands in `open`.
package enum DialTarget: Sendable {
    case place(ForwardPlace)
    /// A connection that came to where the context listens.
    case accepted(UInt64)

    var wire: [UInt8] {
        switch self {
        case .place(let place): return place.wire
        case .accepted(let number): return [2] + number.bigEndianBytes
        }
    }

    init?(_ bytes: UnsafeRawBufferPointer) {
        if bytes.first == 2 {
            guard bytes.count == 9 else { return nil }
            self = .accepted(UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt64.self)))
        } else {
            guard let place = ForwardPlace(bytes) else { return nil }
            self = .place(place)
        }
    }
}

extension ForwardPlace {
    var wire: [UInt8] {
        switch self {
        case .port(let port, let host): [0, UInt8(port >> 8), UInt8(port & 0xff)] + Array((host ?? "").utf8)
        case .socket(let path): [1] + Array(path.utf8)
        }
    }

    init?(_ bytes: UnsafeRawBufferPointer) {
        let text = { (start: Int) in String(decoding: UnsafeRawBufferPointer(rebasing: bytes[start...]), as: UTF8.self)
        }
        switch bytes.first {
        case 0 where bytes.count >= 3 && bytes.count <= 3 + 255:
            let host = text(3)
            self = .port(UInt16(bytes[1]) << 8 | UInt16(bytes[2]), host: host.isEmpty ? nil : host)
        case 1 where bytes.count >= 2 && bytes.count <= 108: self = .socket(text(1))
        default: return nil
        }
        // No text for the system may have one.
        guard !bytes.dropFirst(3).contains(0) else { return nil }
    }
}

extension UInt64 {
    package var bigEndianBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}
