import MartletLink
import MartletTestKit
import MartletWire
import Synchronization
import Testing

@testable import Martlet

/// What is offered to contexts below is had by who shows the offer's token, and nothing else is.
@Suite(.leakChecked) struct FetchTests {
    /// Has `small`, which leads to `next`, `large` of two MiB, and `broken`.
    private final class Shelf: ResourceProvider {
        let asked = Mutex<[String]>([])

        func resource(_ name: String, known: Set<String>) throws(ResourceFailure) -> Resource {
            asked.withLock { $0.append(name) }
            switch name {
            case "small": return Resource(name: name, value: [1], related: ["next", "absent", "small"])
            case "next": return Resource(name: name, value: [2], related: ["small"])
            case "large": return Resource(name: name, value: [UInt8](repeating: 3, count: 2 << 20))
            case "broken": throw ResourceFailure("it cannot be read")
            default: return Resource(name: name, value: nil)
            }
        }
    }

    private static func fetch(_ scene: Scene, _ token: [UInt8], _ name: String) -> RawChild.Frame? {
        scene.raw.ask(.fetch, to: scene.above, token + name.utf8)
    }

    private static func resources(_ frame: RawChild.Frame?) throws -> [Resource] {
        let payload = try #require(frame).payload
        try #require(payload.first == 0, "\(String(decoding: payload, as: UTF8.self))")
        return try CBORDecoder().decode([Resource].self, from: Array(payload.dropFirst()))
    }

    @Test(arguments: Place.allCases)
    func `Who has the token gets what it asks for, and what goes with it, once`(place: Place) async throws {
        try await withScene(place) { scene in
            let shelf = Shelf()
            let (token, _) = scene.martlet.offer({ (_: Shelf) in false }) { shelf }
            #expect(try Self.resources(Self.fetch(scene, token, "small")).map(\.name) == ["small", "next"])
            #expect(try Self.resources(Self.fetch(scene, token, "small")).map(\.name) == ["small"])
            let absent = try Self.resources(Self.fetch(scene, token, "absent"))
            #expect(absent == [Resource(name: "absent", value: nil)])
            let broken = try #require(Self.fetch(scene, token, "broken"))
            #expect(broken.payload.first == 1)
            #expect(String(decoding: broken.payload.dropFirst(), as: UTF8.self) == "it cannot be read")
            if place == .relay { #expect(shelf.asked.withLock { $0.filter { $0 == "small" }.count } == 1) }
            try await scene.checkThatOthersWork()
        }
    }

    @Test(arguments: Place.allCases)
    func `Without the token there is nothing`(place: Place) async throws {
        try await withScene(place) { scene in
            let shelf = Shelf()
            let (token, _) = scene.martlet.offer({ (_: Shelf) in false }) { shelf }
            var other = token
            other[15] ^= 1
            for wrong in [other, [UInt8](repeating: 0, count: 16), Array(token.reversed())] {
                let answer = try #require(Self.fetch(scene, wrong, "small"))
                #expect(answer.payload.first == 1)
                #expect(String(decoding: answer.payload.dropFirst(), as: UTF8.self).contains("nothing is offered"))
            }
            for bad in [
                [], token, Array(token.dropLast()), token + [0xFF], token + [UInt8](repeating: 65, count: 1025),
            ] {
                #expect(scene.raw.ask(.fetch, to: scene.above, bad)?.reset?.code == .protocolViolation)
            }
            for place in [scene.sibling.address, scene.raw.address.child(1)!] where place != scene.above {
                #expect(scene.raw.ask(.fetch, to: place, token + "small".utf8)?.reset != nil)
            }
            #expect(shelf.asked.withLock { $0.isEmpty })
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    @Test(arguments: Place.allCases)
    func `Who asks and does not read makes nobody keep more than one answer`(place: Place) async throws {
        try await withScene(place) { scene in
            let shelf = Shelf()
            let (token, _) = scene.martlet.offer({ (_: Shelf) in false }) { shelf }
            for _ in 0..<200 {
                scene.raw.write(
                    scene.raw.open(
                        StreamKind.fetch.rawValue, to: scene.above, token + "large".utf8, stream: scene.raw.newStream(),
                        flags: .last))
            }
            // The first answer is under way, and stands without credit.
            #expect(scene.raw.next { $0.header.kind == .data } != nil)
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
            #expect(shelf.asked.withLock { $0 } == ["large"])
            scene.raw.hangUp()
            await eventually("the questions are dropped with the child") {
                scene.martlet.runtime.node.openStreams == 0 || scene.relay != nil
            }
            #expect(shelf.asked.withLock { $0 } == ["large"])
        }
    }
}
