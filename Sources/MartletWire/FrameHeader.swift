/// What stands before each frame's payload: who speaks to whom, on which stream, and how many bytes follow.
///
/// `docs/PROTOCOL.md` has the layout byte by byte. Shallow trees need 10 to 24 bytes.
package struct FrameHeader: Equatable, Sendable {
    package enum Kind: UInt8, Sendable {
        /// Begins a stream. The payload begins with a byte that names the ``StreamKind``.
        case open = 1
        /// One message of a stream, or, with ``Flags/more``, a part of one.
        case data = 2
        /// Lets the other end send more bytes: a big-endian 32-bit count.
        case credit = 3
        /// The sender's last message on the stream.
        case end = 4
        /// Ends the stream at once in both directions. The payload is a ``ResetReason``.
        case reset = 5
        /// Agent to parent, once, right behind the marker. The payload is an agent's ``Hello``.
        case hello = 16
        /// Parent to agent, once: the address it has now, and the limits it shall keep.
        case welcome = 17
        /// Asks the neighbour for a ``pong``.
        case ping = 18
        case pong = 19
        /// Parent to agent: drain and exit. Agent to parent: I have drained and exit now.
        case goodbye = 20

        /// Frames that never leave the link on which they were sent: they carry no addresses.
        package var isLinkLocal: Bool { rawValue >= 16 }

        /// The flags that mean something on such a frame; no other may be set.
        package var allowedFlags: Flags {
            switch self {
            case .open: Self.openFlags
            case .data: Self.dataFlags
            case .end: Self.endFlags
            case .credit, .reset: Self.otherFlags
            case .hello, .welcome, .ping, .pong, .goodbye: Flags(rawValue: 0)
            }
        }

        // Made once: the compiler builds a set from a literal anew each time, for every frame that comes.
        private static let openFlags: Flags = [.fromOpener, .more, .last, .bulk]
        private static let dataFlags: Flags = [.fromOpener, .more, .bulk, .heldUp]
        private static let endFlags: Flags = [.fromOpener, .last, .bulk]
        private static let otherFlags: Flags = [.fromOpener, .bulk]
    }

    package struct Flags: OptionSet, Sendable {
        package var rawValue: UInt8
        @inlinable
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        // The standard library's own is not specialised for other modules, and every frame that is sent needs it.
        @inlinable
        package init(arrayLiteral flags: Flags...) {
            self.init(rawValue: flags.reduce(0) { $0 | $1.rawValue })
        }

        /// Sent by the end that opened the stream: both ends number their own streams.
        package static let fromOpener = Flags(rawValue: 1)
        /// The message goes on in the next frame of this stream.
        package static let more = Flags(rawValue: 2)
        /// The sender will send no message after this one.
        package static let last = Flags(rawValue: 4)
        /// Bulk: calls and control go first where the link is full.
        package static let bulk = Flags(rawValue: 8)
        /// On `data`: the sender had run out of credit, so a larger window would help it.
        package static let heldUp = Flags(rawValue: 16)
        package static let all: Flags = [.fromOpener, .more, .last, .bulk, .heldUp]
    }

    package var kind: Kind
    package var flags: Flags
    package var payloadCount: Int
    package var stream: UInt32
    package var destination: ContextAddress
    package var source: ContextAddress

    package init(
        _ kind: Kind,
        flags: Flags = [],
        stream: UInt32 = 0,
        to destination: ContextAddress = .root,
        from source: ContextAddress = .root,
        payloadCount: Int = 0
    ) {
        self.kind = kind
        self.flags = flags
        self.payloadCount = payloadCount
        self.stream = stream
        self.destination = destination
        self.source = source
    }

    package static let fixedByteCount = 10
    /// The largest payload, in bytes. With the longest header a frame stays below 64 KiB.
    package static let maximumPayload = 65_280
    package static let maximumByteCount = fixedByteCount + 2 * ContextAddress.maximumByteCount

    package var byteCount: Int { Self.fixedByteCount + destination.byteCount + source.byteCount }

    /// The stream that this frame belongs to, named the same at both ends and at every relay.
    package var streamKey: StreamKey {
        flags.contains(.fromOpener)
            ? StreamKey(opener: source, acceptor: destination, number: stream)
            : StreamKey(opener: destination, acceptor: source, number: stream)
    }
}

/// What names one stream everywhere: the two contexts and the number that its opener gave it.
package struct StreamKey: Hashable, Sendable {
    package var opener: ContextAddress
    package var acceptor: ContextAddress
    package var number: UInt32

    package init(opener: ContextAddress, acceptor: ContextAddress, number: UInt32) {
        self.opener = opener
        self.acceptor = acceptor
        self.number = number
    }

    package func hash(into hasher: inout Hasher) {
        // The number and the opener would tell honest streams apart; a hostile opener would vary only the acceptor.
        hasher.combine(number)
        hasher.combine(opener)
        hasher.combine(acceptor)
    }
}
