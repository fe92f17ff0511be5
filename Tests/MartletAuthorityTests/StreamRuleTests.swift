import MartletLink
import MartletTestKit
import MartletWire
import Testing

@testable import Martlet

/// What breaks the rules of one stream ends that stream; what an honest relay would not pass on ends the link.
@Suite(.leakChecked) struct StreamRuleTests {
    @Test(arguments: [FrameHeader.Kind.data, .credit, .end, .reset], Place.allCases)
    func `Frames of streams that nobody opened are dropped`(kind: FrameHeader.Kind, place: Place) async throws {
        try await withScene(place) { scene in
            let payload: [UInt8] = kind == .credit ? [0, 1, 0, 0] : [1, 2, 3]
            for target in [.root, scene.above, scene.sibling.address] {
                for flags in [[], .fromOpener] as [FrameHeader.Flags] {
                    for stream in [0, 1, 7, .max] as [UInt32] {
                        scene.raw.send(
                            FrameHeader(kind, flags: flags, stream: stream, to: target, from: scene.raw.address),
                            payload)
                    }
                }
            }
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    enum Offence: String, CaseIterable, Sendable {
        case tooMuchData, tooManyEmptyFrames, tooLittleCredit, tooMuchCredit, creditInSum, dataBehindTheEnd, secondEnd
        case secondOpen

        func commit(_ scene: Scene, _ stream: UInt32, _ open: [UInt8]) {
            let raw = scene.raw
            func send(_ kind: FrameHeader.Kind, _ payload: [UInt8]) {
                raw.send(
                    FrameHeader(kind, flags: .fromOpener, stream: stream, to: .root, from: raw.address), payload)
            }
            func grant(_ count: UInt32) { send(.credit, withUnsafeBytes(of: count.bigEndian) { Array($0) }) }
            switch self {
            case .tooMuchData: for _ in 0..<5 { send(.data, [UInt8](repeating: 3, count: 65_000)) }
            case .tooManyEmptyFrames: for _ in 0..<9_000 { send(.data, []) }
            case .tooLittleCredit: grant(1)
            case .tooMuchCredit: grant(.max)
            case .creditInSum: for _ in 0..<3 { grant(16 << 20) }
            case .dataBehindTheEnd:
                send(.end, [0])
                send(.data, [1])
            case .secondEnd:
                send(.end, [0])
                send(.end, [0])
            case .secondOpen: raw.write(open)
            }
        }
    }

    /// A channel that the bad child has claimed, at whose other end nobody reads.
    private func withChannel(
        _ scene: Scene, _ body: (_ here: Channel<[UInt8]>, _ stream: UInt32, _ open: [UInt8]) async throws -> Void
    ) async throws {
        let runtime = scene.martlet.runtime
        let (here, there) = scene.martlet.makeChannel(of: [UInt8].self)
        // The end goes as an argument would, without the call around it.
        let token = try #require(try there.handle.pipe.passOn(there.handle.side))
        let stream = scene.raw.newStream()
        let open = scene.raw.open(StreamKind.channel.rawValue, to: .root, token.bytes, stream: stream)
        scene.raw.write(open)
        await eventually("the claim") { runtime.channels.find(token) == nil }
        try await body(here, stream, open)
    }

    @Test(arguments: Offence.allCases)
    func `The stream ends, the link stays`(offence: Offence) async throws {
        try await withScene(.controller) { scene in
            try await withChannel(scene) { here, stream, open in
                let before = residentMemory()
                offence.commit(scene, stream, open)
                switch offence {
                case .dataBehindTheEnd, .secondEnd:
                    // Both have ended by the time that it comes: it is stale.
                    #expect(try await here.receive(timeout: .seconds(20)) == nil)
                default:
                    let answer = scene.raw.next { $0.header.stream == stream && $0.header.kind == .reset }
                    #expect(answer?.reset?.code == .protocolViolation)
                    let error = await #expect(throws: MartletError.self) {
                        while try await here.receive(timeout: .seconds(20)) != nil {}
                    }
                    #expect(error?.code == .protocolViolation)
                }
                #expect(residentMemory() - before < 16 << 20)
                scene.checkThatItLives()
                try await scene.checkThatOthersWork()
            }
        }
    }

    @Test(arguments: Offence.allCases)
    func `Below a relay the link ends`(offence: Offence) async throws {
        try await withScene(.relay) { scene in
            try await withChannel(scene) { here, stream, open in
                if [.dataBehindTheEnd, .secondEnd].contains(offence) {
                    // The other end answers with its own end, behind which all is stale; only before that it is a lie.
                    offence.commit(scene, stream, open)
                    let item = try? await here.receive(timeout: .seconds(20))
                    #expect(item == nil)
                    try await scene.checkThatOthersWork()
                } else {
                    try await scene.expectEnd(because: "broke the protocol") { offence.commit(scene, stream, open) }
                    _ = try? await here.receive(timeout: .seconds(20))
                    await eventually("nothing is left of it") { scene.martlet.runtime.channels.openStreams == 0 }
                }
            }
        }
    }

    @Test func `A channel holds no more than its window of what nobody reads`() async throws {
        try await withScene(.controller) { scene in
            try await withChannel(scene) { here, stream, _ in
                let payload = [UInt8](repeating: 0, count: 65_000)
                for _ in 0..<4 {
                    scene.raw.send(
                        FrameHeader(.data, flags: .fromOpener, stream: stream, to: .root, from: scene.raw.address),
                        payload)
                }
                scene.checkThatItLives()
                #expect(here.isOpen)
            }
        }
    }
}
