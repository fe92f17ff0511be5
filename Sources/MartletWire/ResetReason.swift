/// Why a stream ended at once: a code for programs and a sentence for people.
package struct ResetReason: Equatable, Sendable {
    package enum Code: UInt8, Sendable {
        /// The opener no longer wants the answer.
        case cancelled = 1
        /// The time that the opener gave has passed.
        case deadlineExceeded = 2
        /// A link on the way, or the other end itself, is gone.
        case contextLost = 3
        /// Nobody knows the destination.
        case noRoute = 4
        /// The other end may not ask for this.
        case refused = 5
        /// A limit of the other end: too many streams, a value too large.
        case limitExceeded = 6
        /// The other end broke the rules of the stream.
        case protocolViolation = 7
        /// The other end is shutting down.
        case shuttingDown = 8
        /// The other end lives on, but not on this link.
        case contextDetached = 9
    }

    package var code: Code
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The longest message that is sent, in UTF-8 bytes.
    package static let maximumMessage = 1024

    /// The longest wire form, in bytes.
    package static let maximumByteCount = 1 + maximumMessage

    /// The wire form: the code and as many whole characters of the message as fit.
    package var bytes: [UInt8] {
        let utf8 = message.utf8
        guard var end = utf8.index(utf8.startIndex, offsetBy: Self.maximumMessage, limitedBy: utf8.endIndex) else {
            return [code.rawValue] + utf8
        }
        while end < utf8.endIndex, utf8[end] & 0xc0 == 0x80 { end = utf8.index(before: end) }
        return [code.rawValue] + utf8[..<end]
    }

    /// Reads what the other end sent; an unknown code from a newer peer is taken as a protocol violation.
    package init(bytes: UnsafeRawBufferPointer) {
        code = bytes.first.flatMap(Code.init(rawValue:)) ?? .protocolViolation
        message = String(decoding: bytes.dropFirst().prefix(Self.maximumMessage), as: UTF8.self)
    }
}
