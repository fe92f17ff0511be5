import MartletTestKit
import MartletWire
import Testing

@testable import Martlet

/// A channel's end is a capability with a token that cannot be guessed.
@Suite(.leakChecked) struct TokenTests {
    /// Passes an end to the bad child; returns the token that came with it.
    private static func pass(_ end: Channel<[UInt8]>, _ scene: Scene) throws -> (RawChild.Frame, [UInt8]) {
        // It ends with the scene at the latest.
        _ = Task { [context = scene.context] in try await context.call(TakeEnd(end: end)) }
        let call = try #require(scene.raw.opened(.call))
        let key = Array("martlet.channel".utf8)
        let place = try #require(call.payload.indices.first { call.payload[$0...].starts(with: key) })
        // A byte string of less than 256 bytes: two bytes of head, then the version.
        let token = place + key.count + 3
        return (call, Array(call.payload[token..<token + ChannelToken.byteCount]))
    }

    private static func header(_ kind: FrameHeader.Kind, _ scene: Scene, _ stream: UInt32) -> FrameHeader {
        FrameHeader(kind, flags: [.fromOpener, .bulk], stream: stream, to: .root, from: scene.raw.address)
    }

    private static let item = [0, 0, 0, 2, 0x41, 5] as [UInt8]

    @Test(arguments: Place.allCases)
    func `A token is good for one claim`(place: Place) async throws {
        try await withScene(place) { scene in
            let (here, there) = scene.martlet.makeChannel(of: [UInt8].self)
            let (call, token) = try Self.pass(there, scene)
            // It is used as it should be.
            let stream = scene.raw.newStream()
            scene.raw.write(scene.raw.open(StreamKind.channel.rawValue, to: .root, token, stream: stream, flags: .bulk))
            scene.raw.send(Self.header(.data, scene, stream), Self.item)
            #expect(try await here.receive(timeout: .seconds(20)) == [5])
            // Replayed: by itself, by one below it.
            #expect(scene.raw.ask(.channel, to: .root, token)?.reset?.code == .refused)
            let below = try #require(scene.raw.address.child(3))
            #expect(scene.raw.ask(.channel, to: .root, from: below, token)?.reset?.code == .refused)
            // The channel is as it was.
            scene.raw.send(Self.header(.data, scene, stream), Self.item)
            #expect(try await here.receive(timeout: .seconds(20)) == [5])
            try await here.send([9])
            #expect(scene.raw.next { $0.header.stream == stream }?.payload == [0, 0, 0, 2, 0x41, 9])
            // Closed, and tried once more.
            here.close()
            #expect(scene.raw.next { $0.header.stream == stream }?.header.kind == .end)
            scene.raw.send(Self.header(.end, scene, stream), [0])
            #expect(scene.raw.ask(.channel, to: .root, token)?.reset?.code == .refused)
            scene.raw.answer(call, .end, flags: .last, [CallAnswer.success])
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    @Test(arguments: Place.allCases)
    func `A guess is refused, however near or odd it is`(place: Place) async throws {
        try await withScene(place) { scene in
            let (here, there) = scene.martlet.makeChannel(of: [UInt8].self)
            let (_, token) = try Self.pass(there, scene)
            for index in token.indices {
                var guess = token
                guess[index] ^= 1
                #expect(scene.raw.ask(.channel, to: .root, guess)?.reset?.code == .refused)
            }
            for guess in [[], [0], Array(token.dropLast()), token + [0], [UInt8](repeating: 0, count: 16)] {
                #expect(scene.raw.ask(.channel, to: .root, guess)?.reset?.code == .refused)
            }
            // Nor is it of use anywhere else.
            #expect(scene.raw.ask(.channel, to: scene.sibling.address, token)?.reset?.code == .refused)
            #expect(here.isOpen)
            try await scene.checkThatOthersWork()
        }
    }

    @Test func `The token of a channel whose context was lost is worth nothing`() async throws {
        try await withScene(.relay) { scene in
            let (here, there) = scene.martlet.makeChannel(of: [UInt8].self)
            let (_, token) = try Self.pass(there, scene)
            // The call fails: what it carried may be claimed for a little while and no longer.
            scene.raw.hangUp()
            let error = await #expect(throws: MartletError.self) { try await here.receive(timeout: .seconds(20)) }
            #expect(error?.code == .channelClosed || error?.code == .contextLost, "\(error as Any)")
            let claim = token.withUnsafeBytes { ChannelToken($0) }
            #expect(claim.flatMap { scene.martlet.runtime.channels.find($0) } == nil)
            try await scene.checkThatOthersWork()
        }
    }

    @Test(arguments: [[0xff, 0xff, 0xff, 0xfe], [0x04, 0x00, 0x00, 0x01], [0x03, 0xff, 0xff, 0xff]] as [[UInt8]])
    func `An item that claims to be huge takes no room, and one that is too large closes the channel`(
        head: [UInt8]
    ) async throws {
        try await withScene(.controller) { scene in
            let (here, there) = scene.martlet.makeChannel(of: [UInt8].self)
            let (_, token) = try Self.pass(there, scene)
            let before = residentMemory()
            let stream = scene.raw.newStream()
            scene.raw.write(scene.raw.open(StreamKind.channel.rawValue, to: .root, token, stream: stream, flags: .bulk))
            scene.raw.send(Self.header(.data, scene, stream), head + [0x5b, 0x7f, 0xff])
            let isLegal = head[0] == 3
            let error = await #expect(throws: MartletError.self) {
                try await here.receive(timeout: isLegal ? .milliseconds(200) : .seconds(20))
            }
            #expect(error?.code == (isLegal ? .deadlineExceeded : .limitExceeded))
            #expect(residentMemory() - before < 8 << 20)
            try await scene.checkThatOthersWork()
        }
    }

    @Test func `An item that is none is an error of the one who reads, with every channel in it`() async throws {
        try await withScene(.controller) { scene in
            let (here, there) = scene.martlet.makeChannel(of: [Channel<Int>].self)
            _ = Task { [context = scene.context] in try await context.call(TakeEnds(end: there)) }
            let call = try #require(scene.raw.opened(.call))
            let key = Array("martlet.channel".utf8)
            let place = try #require(call.payload.indices.first { call.payload[$0...].starts(with: key) })
            let token = Array(call.payload[place + key.count + 3..<place + key.count + 19])
            let stream = scene.raw.newStream()
            scene.raw.write(scene.raw.open(StreamKind.channel.rawValue, to: .root, token, stream: stream, flags: .bulk))
            // Five thousand ends, each of which would cost a stream.
            let end: [UInt8] =
                [0xa1, 0x6f] + key + [0x58, 35, 1] + [UInt8](repeating: 7, count: 32) + [0]
                + [UInt8(scene.raw.address.components[0])]
            let value = [0x99, 0x13, 0x88] + Array(repeatElement(end, count: 5_000).joined())
            let item = withUnsafeBytes(of: UInt32(value.count).bigEndian) { Array($0) } + value
            let received = Task { try await here.receive(timeout: .seconds(20)) }
            scene.raw.send(Self.header(.data, scene, stream), Array(item[..<60_000]))
            var rest = item[60_000...]
            while !rest.isEmpty {
                // Within the window, of which a half is given back as it is read.
                if rest.count < item.count - 200_000 {
                    _ = scene.raw.next { $0.header.kind == .credit && $0.header.stream == stream }
                }
                scene.raw.send(Self.header(.data, scene, stream), Array(rest.prefix(60_000)))
                rest = rest.dropFirst(60_000)
            }
            let error = await #expect(throws: MartletError.self) { _ = try await received.value }
            #expect(error?.code == .valueUnusable)
            // Those that were opened are closed again, as they would be if they were dropped.
            scene.raw.hangUp()
            await eventually("no stream is left") { scene.martlet.runtime.node.openStreams == 0 }
            try await scene.checkThatOthersWork()
        }
    }
}

struct TakeEnds: RemoteTask {
    var end: Channel<[Channel<Int>]>
    func run(in context: RemoteContext) async throws {}
}
