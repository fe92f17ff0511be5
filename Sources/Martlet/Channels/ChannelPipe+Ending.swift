import MartletWire

extension ChannelPipe {
    /// A side's last word: it neither writes nor reads any more. (Who has only finished says so by
    /// ``ChannelBuffer/finishMark``.)
    enum Ending: Sendable {
        case closed
        /// Closed with an error: a ``CallAnswer``.
        case failed([UInt8])

        var wire: [UInt8] {
            switch self {
            case .closed: [0]
            case .failed(let bytes): [1] + bytes.prefix(FrameHeader.maximumPayload - 1)
            }
        }

        init(wire: UnsafeRawBufferPointer) {
            self = wire.first == 1 ? .failed(Array(wire.dropFirst())) : .closed
        }

        /// What a writer at the other side is told: a ``CallAnswer`` with the error, or empty for a plain close.
        var refusal: [UInt8] { if case .failed(let bytes) = self { bytes } else { [] } }

        static func failed(_ code: MartletError.Code, _ message: String) -> Ending {
            .failed(CallAnswer.failure(MartletError(code, message)))
        }
    }
}
