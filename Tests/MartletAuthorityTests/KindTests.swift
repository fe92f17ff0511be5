import MartletTestKit
import MartletWire
import Testing

@testable import Martlet

/// What makes something happen is accepted only from above.
@Suite(.leakChecked) struct KindTests {
    private static func payload(_ kind: StreamKind) throws -> [UInt8] {
        switch kind {
        case .call: try Witness.request
        case .command:
            try CBOREncoder().encode(
                CommandRequest(
                    executable: "/bin/sh", arguments: ["-c", "exit 1"], environment: [:], directory: nil,
                    hasInput: false, timeout: nil, killGrace: 1000, nice: 0))
        case .connect:
            try CBOREncoder().encode(
                ConnectRequest(
                    type: _mangledTypeName(LocalConnector.self) ?? "",
                    connector: CBOREncoder().encode(LocalConnector()), options: .init()))
        case .disconnect: try CBOREncoder().encode(IncomingDisconnect.Request(number: 1, limit: 1000))
        case .detach: try CBOREncoder().encode(IncomingDetach.Request(lease: 60_000))
        case .status, .echo, .output, .log, .channel, .invoke: []
        case .dial: DialTarget.place(.port(1, host: "127.0.0.1")).wire
        case .join: Array(BootstrapNonce.random().text.utf8)
        case .listen: ForwardPlace.port(0).wire
        case .fetch: ChannelToken.random().bytes + "module".utf8
        }
    }

    @Test(
        arguments: [StreamKind.call, .command, .connect, .disconnect, .status, .detach, .dial, .listen, .join],
        Place.allCases)
    func `Upwards and sideways it is refused`(kind: StreamKind, place: Place) async throws {
        try await withScene(place) { scene in
            let payload = try Self.payload(kind)
            let deep = try #require(scene.sibling.address.child(1)?.child(1))
            for target in [.root, scene.above, scene.sibling.address, deep] {
                let reset = scene.raw.ask(kind, to: target, payload)?.reset
                #expect(reset?.code == .refused, "\(kind) to \(target): \(reset as Any)")
            }
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
            #expect(scene.martlet.runtime.children.count == (place == .controller ? 2 : 1))
        }
    }

    @Test func `In parts it is refused too`() async throws {
        try await withScene(.controller) { scene in
            let request = try Witness.request
            let stream = scene.raw.newStream()
            scene.raw.write(
                scene.raw.open(StreamKind.call.rawValue, to: .root, Array(request[..<8]), stream: stream, flags: .more))
            scene.raw.send(
                FrameHeader(.end, flags: [.fromOpener, .last], stream: stream, to: .root, from: scene.raw.address),
                Array(request[8...]))
            #expect(scene.raw.next { $0.header.stream == stream }?.reset?.code == .refused)
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    @Test(arguments: Place.allCases)
    func `Logs and output go to the controller, echoes up and down`(place: Place) async throws {
        try await withScene(place) { scene in
            for kind in [StreamKind.log, .output, .echo] {
                #expect(scene.raw.ask(kind, to: scene.sibling.address, [1])?.reset?.code == .refused)
            }
            if place == .relay {
                for kind in [StreamKind.log, .output] {
                    #expect(scene.raw.ask(kind, to: scene.above, [1])?.reset?.code == .refused)
                }
            }
            #expect(scene.raw.ask(.echo, to: .root, [1, 2])?.payload == [1, 2])
            try await scene.checkThatOthersWork()
        }
    }

    @Test(arguments: Place.allCases)
    func `Kinds that nobody knows are refused, and places that nobody has`(place: Place) async throws {
        try await withScene(place) { scene in
            for kind in [0, 11, 99, 255] as [UInt8] {
                for target in [.root, scene.above, scene.sibling.address] {
                    #expect(scene.raw.ask(kind, to: target, [1])?.reset?.code == .protocolViolation)
                }
            }
            let nowhere = try #require(scene.above.child(4_000))
            #expect(scene.raw.ask(.channel, to: nowhere, [UInt8](repeating: 1, count: 16))?.reset?.code == .noRoute)
            #expect(scene.raw.ask(.echo, to: .root, [UInt8](repeating: 1, count: 4_000))?.reset?.code == .limitExceeded)
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }
}
