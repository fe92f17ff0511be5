import MartletTestKit
import MartletWire
import Synchronization
import Testing

@testable import Martlet

/// Bytes that no peer of this protocol sends.
@Suite(.leakChecked) struct FrameTests {
    enum Nonsense: String, CaseIterable, Sendable {
        case oversized, unknownKind, illegalFlags, longAddress, addressNotShortest, addressedPing, helloAgain, welcome
        case longReset, oddCredit, openByNobody

        func bytes(_ raw: RawChild) -> [UInt8] {
            switch self {
            case .oversized: [2, 1, 0xff, 0x01, 0, 0, 0, 1, 0, 1, 1]
            case .unknownKind: [77] + [UInt8](repeating: 0, count: 9)
            case .illegalFlags: [2, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 1]
            case .longAddress: [2, 1, 0, 0, 0, 0, 0, 1, 200, 1] + [UInt8](repeating: 1, count: 201)
            case .addressNotShortest: [2, 1, 0, 0, 0, 0, 0, 1, 0, 2, 0x81, 0]
            case .addressedPing: [18, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]
            case .helloAgain: raw.bytes(FrameHeader(.hello), [0xa0])
            case .welcome: raw.bytes(FrameHeader(.welcome), [0xa0])
            case .longReset: [5, 1, 0x10, 0, 0, 0, 0, 1, 0, 1, 1]
            case .oddCredit: [3, 1, 0, 5, 0, 0, 0, 1, 0, 1, 1]
            case .openByNobody: [1, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1]
            }
        }
    }

    @Test(arguments: Nonsense.allCases, Place.allCases)
    func `Nonsense ends the link, with what it was`(nonsense: Nonsense, place: Place) async throws {
        try await withScene(place) { scene in
            try await scene.expectEnd(because: "broke the protocol") { scene.raw.write(nonsense.bytes(scene.raw)) }
        }
    }

    @Test(arguments: Place.allCases)
    func `A frame that is cut short by the end of the link is no frame`(place: Place) async throws {
        try await withScene(place) { scene in
            try await scene.expectEnd(because: "closed") {
                let whole = scene.raw.open(
                    StreamKind.echo.rawValue, to: .root, [UInt8](repeating: 1, count: 200), stream: 5)
                scene.raw.write(Array(whole.dropLast()))
                scene.raw.hangUp()
            }
        }
    }

    @Test func `A frame that never becomes whole is silence`() async throws {
        try await withScene(.controller, { $0.heartbeatLimit = .milliseconds(900) }) { scene in
            let waiting = Task { [context = scene.context] in try await context.call(Add(a: 1, b: 1)) }
            scene.raw.write([2, 1, 0xfe])
            let error = await #expect(throws: MartletError.self) { try await waiting.value }
            #expect(error?.code == .contextLost && error?.message.contains("nothing was heard") == true)
            try await scene.checkThatOthersWork()
        }
    }

    enum Entrance: String, CaseIterable, Sendable {
        case frameBeforeHello, wrongNonce, wrongBuild, wrongVersion, giantClaim, deepNesting, noMap, malformed, silence

        func bytes(_ raw: RawChild, _ nonce: String, _ build: String) throws -> [UInt8] {
            func hello(_ hello: Hello) throws -> [UInt8] {
                raw.bytes(FrameHeader(.hello), try CBOREncoder().encode(hello))
            }
            func hello(_ payload: [UInt8]) -> [UInt8] { raw.bytes(FrameHeader(.hello), payload) }
            switch self {
            case .frameBeforeHello:
                return raw.open(StreamKind.call.rawValue, to: .root, try Witness.request, stream: 1, flags: .last)
            case .wrongNonce: return try hello(RawChild.hello(String(nonce.reversed()), build: build))
            case .wrongBuild: return try hello(RawChild.hello(nonce, build: "00"))
            case .wrongVersion:
                var value = RawChild.hello(nonce, build: build)
                (value.oldest, value.newest) = (.max, .max)
                return try hello(value)
            case .giantClaim: return hello([0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
            case .deepNesting: return hello([UInt8](repeating: 0x81, count: 65_000))
            case .noMap: return hello([0x00])
            case .malformed: return [99] + [UInt8](repeating: 0, count: 20)
            case .silence: return []
            }
        }
    }

    @Test(arguments: Entrance.allCases)
    func `Who does not say hello as it should is no context`(entrance: Entrance) async throws {
        var options = MartletOptions()
        options.onOutput = { _ in }
        try await withMartlet(options) { martlet in
            let raw = try RawChild()
            defer { raw.remove() }
            let sibling = try await martlet.connect(.local)
            var connect = ConnectOptions()
            if entrance == .silence { connect.deadline = .seconds(2) }
            let attempt = Task { [connect] in try await martlet.connect(raw.connector, options: connect) }
            let nonce = await raw.launched()
            raw.write(raw.marker(nonce))
            raw.write(try entrance.bytes(raw, nonce, martlet.runtime.images.ownBuild))
            let error = await #expect(throws: MartletError.self) { _ = try await attempt.value }
            let code: MartletError.Code = entrance == .silence ? .connectTimedOut : .handshakeFailed
            #expect(error?.code == code, "\(error as Any)")
            #expect(try await sibling.call(Add(a: 2, b: 2)) == 4)
            #expect(martlet.runtime.children.count == 1)
            #expect(Witness.count.load(ordering: .relaxed) == 0)
        }
    }
}
