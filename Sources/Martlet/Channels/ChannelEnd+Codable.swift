import MartletLink
import MartletWire

// An end in a message: a map with one key, so that other runtimes know it when they see it. Its bytes are the version (1),
// the token, the channel's name, 1 for the second end or 0, and the address of the context to claim it from.
extension ChannelEnd: Codable {
    private enum CodingKeys: String, CodingKey {
        case channel = "martlet.channel"
    }

    /// Passes the end on. Only for arguments, results and items of channels: an end cannot be kept in a file.
    public func encode(to encoder: any Encoder) throws {
        guard let runtime = ChannelPassage.runtime, runtime === handle.runtime else {
            throw MartletError(
                .misuse,
                "a channel end can only be encoded as an argument or result of a task, or as an item of a channel")
        }
        guard let token = try handle.pipe.passOn(handle.side) else { throw ChannelHandle.passedOn }
        ChannelPassage.add(token)
        var bytes: [UInt8] = [1]
        bytes += token.bytes
        bytes += handle.identity.channel.bytes
        bytes.append(handle.identity.isSecond ? 1 : 0)
        let address = runtime.node.address
        bytes.append(addingCapacity: address.byteCount) { address.write(to: $0) }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(bytes, forKey: .channel)
    }

    /// Takes the end over: from now on it is in this context's hands.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let bytes = try container.decode([UInt8].self, forKey: .channel)
        let count = ChannelToken.byteCount
        guard let runtime = ChannelPassage.runtime, bytes.count >= 2 + 2 * count, bytes[0] == 1,
            let (token, name, home) = bytes.withUnsafeBytes({ bytes -> (ChannelToken, ChannelToken, ContextAddress)? in
                guard let token = ChannelToken(UnsafeRawBufferPointer(rebasing: bytes[1..<1 + count])),
                    let name = ChannelToken(UnsafeRawBufferPointer(rebasing: bytes[1 + count..<1 + 2 * count])),
                    let home = ContextAddress(wire: UnsafeRawBufferPointer(rebasing: bytes[(2 + 2 * count)...]))
                else { return nil }
                return (token, name, home)
            })
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .channel, in: container, debugDescription: "This is no end of a channel.")
        }
        guard ChannelPassage.mayClaim() else {
            throw DecodingError.dataCorruptedError(
                forKey: .channel, in: container,
                debugDescription: "A message has more than \(ChannelPassage.claimLimit) ends of channels.")
        }
        let identity = ChannelHandle.Identity(channel: name, isSecond: bytes[1 + 2 * count] == 1)
        handle = runtime.claim(token, identity, at: home)
    }
}

extension ContextRuntime {
    /// Takes a channel's end that was offered, here or in another context. Whether that was possible shows when the end is
    /// used.
    fileprivate func claim(
        _ token: ChannelToken,
        _ identity: ChannelHandle.Identity,
        at home: ContextAddress
    ) -> ChannelHandle {
        if home == node.address {
            if let (pipe, side) = channels.find(token), channels.claim(token) {
                pipe.takeBack(side)
                return ChannelHandle(pipe, side, identity, self)
            }
            let pipe = ChannelPipe(self)
            pipe.cut(.second, ResetReason(.refused, ChannelOffers.unknownToken))
            return ChannelHandle(pipe, .first, identity, self)
        }
        let pipe = ChannelPipe(self)
        let stream = ChannelStream(pipe, .second, runtime: self)
        pipe.attach(stream, at: .second)
        if node.open(to: home, .channel, owner: stream, payload: token.bytes, flags: .bulk) == nil {
            pipe.lost(.notConnected, at: stream)
        }
        return ChannelHandle(pipe, .first, identity, self)
    }
}
