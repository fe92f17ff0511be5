import Foundation
import MartletTestKit
import MartletWire
import Testing

@testable import Martlet

/// The words of a detach, frame by frame: with the test as the parent of a real agent, and as a child of a real controller.
@Suite(.leakChecked) struct LeavingTests {
    private static let leaving: [UInt8] = [2]
    private static let detached: [UInt8] = [1]

    @Test func `An agent whose parent is gone before it let go ends, and has told nobody its id`() async throws {
        try await withAgent { parent, entry in
            parent.hangUp()
            #expect(parent.next { $0.header.kind == .end } == nil)
            await eventually { !entry.isAlive }
        }
    }

    @Test func `Once its parent has let go an agent says its id, and lives on without the link`() async throws {
        try await withAgent { parent, entry in
            parent.send(FrameHeader(.goodbye), Self.leaving)
            // It closes the link itself.
            let frames = parent.rest()
            #expect(frames.map(\.header.kind) == [.end, .goodbye])
            #expect(frames.last?.payload == Self.detached)
            let end = try CBORDecoder().decode(DetachEnd.self, from: frames.first?.payload ?? [])
            let place = try #require(end.place)
            #expect(access(place.socket, F_OK) == 0)
            parent.hangUp()
            #expect(entry.isAlive)
            entry.send(signal: SIGKILL)
            unlink(place.socket)
        }
    }

    @Test func `A parent that is told lets go and keeps the link`() async throws {
        try await withScene(.controller) { scene in
            scene.raw.send(FrameHeader(.goodbye), Self.leaving)
            let answer = scene.raw.next { $0.header.kind == .goodbye }
            #expect(answer?.payload == Self.leaving)
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    /// Runs `body` with a real agent that has been asked to detach, and has asked its parent, the test, to let go.
    private func withAgent(_ body: (RawChild, ProcessTable.Entry) async throws -> Void) async throws {
        // Its two pipes serve as well the other way round.
        let parent = try RawChild()
        defer { parent.remove() }
        let nonce = BootstrapNonce.random().text
        let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
        let agent = Task {
            try await runProgram(
                ["/bin/sh", "-c", "exec \"$0\" <\"$1/out\" >\"$1/in\"", executable, parent.connector.folder],
                environment: ["MARTLET_AGENT": nonce], within: .seconds(60))
        }
        #expect(parent.skip(parent.marker(nonce)))
        let hello = try CBORDecoder().decode(
            Hello.self, from: try #require(parent.next { $0.header.kind == .hello }).payload)
        let address = try #require(ContextAddress.root.child(1))
        let entry = try #require(ProcessTable.entry(of: hello.facts.processID))
        parent.send(
            FrameHeader(.welcome),
            try CBOREncoder().encode(
                Welcome(
                    version: 1, address: address, route: Route(), title: "martlet", heartbeatLimit: 60_000,
                    imageID: "0",
                    policy: .nothing)))
        parent.write(
            parent.open(
                StreamKind.detach.rawValue, to: address,
                try CBOREncoder().encode(IncomingDetach.Request(lease: 60_000)),
                stream: 7, flags: .last))
        let first = parent.next { $0.header.kind == .goodbye || $0.header.kind == .end }
        #expect(first?.header.kind == .goodbye && first?.payload == Self.leaving)
        try await body(parent, entry)
        _ = try await agent.value
    }
}
