import MartletWire

/// Finds the items in what a program writes to its connection. Instead of an item's length there may be a mark.
struct ItemAssembly {
    enum Part {
        /// With its length in front.
        case item([UInt8])
        case finish
        case close
        case tooLarge
    }

    struct Failure: Decodable {
        var type: String
        var message: String
    }

    private static let finishMark = 0xffff_ffff
    private static let failureMark = 0xffff_fffe
    private static let closeMark = 0xffff_fffd

    private var bytes: [UInt8] = []
    private var nextIsFailure = false
    private(set) var failure: Failure?

    mutating func append(_ more: ArraySlice<UInt8>) -> [Part] {
        bytes += more
        var parts: [Part] = []
        var offset = 0
        while bytes.count - offset >= ChannelBuffer.headCount {
            let length = bytes.withUnsafeBytes {
                Int(UInt32(bigEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            }
            let end = offset + ChannelBuffer.headCount + length
            switch length {
            case Self.finishMark: parts.append(.finish)
            case Self.closeMark: parts.append(.close)
            case Self.failureMark: nextIsFailure = true
            case ...MessageAssembly.limit:
                guard end <= bytes.count else {
                    bytes.removeFirst(offset)
                    return parts
                }
                let item = Array(bytes[offset..<end])
                offset = end
                if nextIsFailure {
                    failure = try? CBORDecoder().decode(
                        Failure.self, from: Array(item.dropFirst(ChannelBuffer.headCount)))
                    nextIsFailure = false
                } else {
                    parts.append(.item(item))
                }
                continue
            default: return [.tooLarge]
            }
            offset += ChannelBuffer.headCount
        }
        bytes.removeFirst(offset)
        return parts
    }
}
