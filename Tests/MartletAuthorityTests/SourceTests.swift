import MartletTestKit
import MartletWire
import Testing

@testable import Martlet

/// No context can speak for another.
@Suite(.leakChecked) struct SourceTests {
    enum Claim: String, CaseIterable, Sendable {
        case controller, above, sibling, belowSibling, unallocated, farAway

        func source(_ scene: Scene) throws -> ContextAddress {
            switch self {
            case .controller: .root
            case .above: scene.above
            case .sibling: scene.sibling.address
            case .belowSibling: try #require(scene.sibling.address.child(5)?.child(6))
            case .unallocated: try #require(scene.above.child(4_000_000_000))
            case .farAway: try #require(ContextAddress([77, 1, 2]))
            }
        }
    }

    @Test(arguments: Claim.allCases, Place.allCases)
    func `A frame that claims to come from elsewhere ends the link`(claim: Claim, place: Place) async throws {
        try await withScene(place) { scene in
            let source = try claim.source(scene)
            try await scene.expectEnd(because: "claims to come from") {
                scene.raw.write(
                    scene.raw.open(
                        StreamKind.call.rawValue, to: scene.sibling.address, from: source, (try? Witness.request) ?? [],
                        stream: 1, flags: .last))
            }
        }
    }

    @Test(arguments: [FrameHeader.Kind.data, .credit, .end, .reset])
    func `Whatever kind of frame it is`(kind: FrameHeader.Kind) async throws {
        try await withScene(.relay) { scene in
            try await scene.expectEnd(because: "claims to come from") {
                let header = FrameHeader(kind, stream: 1, to: scene.sibling.address, from: .root)
                scene.raw.send(header, kind == .credit ? [0, 1, 0, 0] : [])
            }
        }
    }

    @Test(arguments: Place.allCases)
    func `It may speak for those below it, who may do no more than it`(place: Place) async throws {
        try await withScene(place) { scene in
            let below = try #require(scene.raw.address.child(9)?.child(300))
            let request = try Witness.request
            #expect(scene.raw.ask(.call, to: .root, from: below, request)?.reset?.code == .refused)
            #expect(scene.raw.ask(.call, to: scene.sibling.address, from: below, request)?.reset?.code == .refused)
            #expect(scene.raw.ask(.echo, to: .root, from: below, [1])?.payload == [1])
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    @Test(arguments: Place.allCases)
    func `It cannot have something said to itself by others`(place: Place) async throws {
        try await withScene(place) { scene in
            // A call from itself to one below it would come back over its own link.
            let below = try #require(scene.raw.address.child(1))
            #expect(scene.raw.ask(.call, to: below, try Witness.request)?.reset?.code == .noRoute)
            #expect(scene.raw.ask(.call, to: scene.raw.address, try Witness.request)?.reset != nil)
            try await scene.checkThatOthersWork()
        }
    }
}
