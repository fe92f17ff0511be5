package import Martlet
public import MartletWire

/// Which actor, and where it is.
///
/// It is a capability: whoever has it can call the actor, and nobody else can. So it leaves a context only as, or within,
/// an argument, a result or an item of a channel; it cannot be kept in a file.
public struct MartletActorID: Hashable, Sendable {
    /// The context that the actor lives in.
    public let context: ContextAddress
    /// Which of its actors; never used again there.
    public let number: UInt64
    /// What the actor's type is called.
    package let typeName: String
    /// Never shown.
    package let token: ChannelToken

    package init(context: ContextAddress, number: UInt64, typeName: String, token: ChannelToken) {
        (self.context, self.number, self.typeName, self.token) = (context, number, typeName, token)
    }

    /// The longest name of a type, in bytes.
    static let maximumName = 2048
}

extension MartletActorID: CustomStringConvertible {
    /// The context's address and the actor's number there: `/2#7`.
    public var description: String { "\(context)#\(number)" }
}

extension MartletActorID: CustomDebugStringConvertible, CustomReflectable {
    /// As ``description``: the token is not for logs.
    public var debugDescription: String { description }
    /// Shows what ``description`` does.
    public var customMirror: Mirror { Mirror(self, children: ["context": context, "number": number]) }
}

// In a message: a map with one key, as the end of a channel is. Its bytes are the version (1), the token, the number (8), the
// length of the type's name (2), the name, and the context's address.
extension MartletActorID: Codable {
    private enum CodingKeys: String, CodingKey {
        case actor = "martlet.actor"
    }

    /// Passes the capability on.
    public func encode(to encoder: any Encoder) throws {
        guard ContextRuntime.isPassing else {
            throw MartletError(
                .misuse, "an actor can only be encoded as an argument or result of a call, or as an item of a channel")
        }
        var bytes: [UInt8] = [1]
        bytes += token.bytes
        bytes += withUnsafeBytes(of: number.bigEndian) { Array($0) }
        bytes += [UInt8(truncatingIfNeeded: typeName.utf8.count >> 8), UInt8(truncatingIfNeeded: typeName.utf8.count)]
        bytes += typeName.utf8
        var place = [UInt8](repeating: 0, count: context.byteCount)
        place.withUnsafeMutableBytes { if let base = $0.baseAddress { context.write(to: base) } }
        bytes += place
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(bytes, forKey: .actor)
    }

    /// Takes a capability that was passed on.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let bytes = try container.decode([UInt8].self, forKey: .actor)
        let parsed = bytes.withUnsafeBytes(Self.parse)
        guard ContextRuntime.isPassing, let parsed else {
            throw DecodingError.dataCorruptedError(
                forKey: .actor, in: container, debugDescription: "This is no reference to an actor.")
        }
        self = parsed
    }

    private static func parse(_ bytes: UnsafeRawBufferPointer) -> MartletActorID? {
        func part(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[range]) }
        let head = 1 + ChannelToken.byteCount
        guard bytes.count >= head + 10, bytes[0] == 1, let token = ChannelToken(part(1..<head)) else { return nil }
        let number = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: head, as: UInt64.self))
        let count = Int(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: head + 8, as: UInt16.self)))
        let name = head + 10
        guard count <= maximumName, bytes.count >= name + count,
            let context = ContextAddress(wire: part(name + count..<bytes.count))
        else { return nil }
        let typeName = String(decoding: part(name..<name + count), as: UTF8.self)
        return MartletActorID(context: context, number: number, typeName: typeName, token: token)
    }
}
