import Distributed
import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet
@testable import MartletActors

/// Actors end with their owners and contexts, and who calls them learns it.
@Suite(.leakChecked) struct ActorEndTests {
    @Test(arguments: Way.available)
    func `A context that is killed in a call is an error with the route, for every call`(way: Way) async throws {
        try await withContext(way) { context in
            let installer = try await context.spawn(Installer.self, "/")
            let waiting = (0..<20).map { _ in Task { try await installer.wait("/dev/null/x", "/dev/null/y") } }
            await eventually { (try? await context.status().running) ?? 0 > 0 }
            let error = try await expectError(.contextLost) { try await installer.end() }
            #expect(error.route == context.route)
            for call in waiting { try await expectError(.contextLost) { try await call.value } }
            let later = try await expectError(.contextLost) { _ = try await installer.count }
            #expect(later.route == context.route)
        }
    }

    @Test func `A sibling that is killed is an error at the one who calls it`() async throws {
        try await withLocalContext { martlet, first in
            let second = try await martlet.connect(.local)
            let one = try await first.spawn(Installer.self, "/one")
            let two = try await second.spawn(Installer.self, "/two")
            #expect(try await one.tellAnother(two, "x").count == 1)
            kill(second.processID, SIGKILL)
            let error = try await expectError(.contextLost) { try await one.tellAnother(two, "x") }
            #expect("\(error.route)".contains("\(second.address)"))
            #expect(try await one.count == 0)
        }
    }

    @Test func `An actor that was resigned is gone, and says so`() async throws {
        try await withLocalContext { martlet, context in
            let installer = try await context.spawn(Installer.self, "/")
            #expect(try await installer.count == 0)
            try await context.resign(installer)
            let error = try await expectError(.actorGone) { _ = try await installer.count }
            #expect(error.message.contains("Installer"))
            #expect(error.route == context.route)
            try await expectError(.actorGone) { try await context.resign(installer) }
            // Nor can it be spoken of where it was.
            await #expect(throws: MartletError.self) { try await context.call(EchoInstaller(installer: installer)) }
        }
    }

    @Test func `The scope of an actor ends it, however the scope ends`() async throws {
        try await withLocalContext { _, context in
            let installer = try await context.withActor(Installer.self, "/") { installer in
                let installed = try await installer.install("a")
                #expect(installed == ["//a-1"])
                return installer
            }
            try await expectError(.actorGone) { _ = try await installer.count }
            await #expect(throws: FileError.self) {
                try await context.withActor(Installer.self, "/") { _ in throw FileError() }
            }
            let cancelled = Task {
                try await context.withActor(Installer.self, "/") { installer in
                    withUnsafeCurrentTask { $0?.cancel() }
                    return installer
                }
            }
            let last = try await cancelled.value
            try await expectError(.actorGone) { _ = try await last.count }
        }
    }

    @Test func `An actor here that nobody keeps is gone`() async throws {
        try await withLocalContext { martlet, context in
            let capabilities = martlet.runtime.capabilities
            var listener: Listener? = Listener(actorSystem: martlet.actorSystem)
            #expect(capabilities.count == 1)
            let installer = try await context.spawn(Installer.self, "/")
            #expect(try await installer.tell(try #require(listener), "x") == 1)
            let id = try #require(listener).id
            listener = nil
            await eventually { capabilities.count == 0 }
            let error = try await expectError(.actorGone) {
                _ = try Listener.resolve(id: id, using: martlet.actorSystem)
            }
            #expect(error.message.contains("Listener"))
        }
    }

    @Test func `A reference of one type is none of another`() async throws {
        try await withLocalContext { martlet, context in
            let installer = try await context.spawn(Installer.self, "/")
            try await expectError(.valueUnusable) {
                _ = try Listener.resolve(id: installer.id, using: context.actorSystem)
            }
        }
    }

    @Test func `After the scope calls fail at once`() async throws {
        nonisolated(unsafe) var kept: Installer?
        try await withLocalContext { _, context in kept = try await context.spawn(Installer.self, "/") }
        let installer = try #require(kept)
        try await expectError(.contextLost) { _ = try await installer.count }
    }

    @Test func `From below only what is not generic is called, and only so much at once`() async throws {
        try await withLocalContext { martlet, context in
            let listener = Listener(actorSystem: martlet.actorSystem)
            let generic = try await expectError(.taskFailed) { try await context.call(AskGeneric(listener: listener)) }
            #expect(generic.message.contains("above"), "\(generic)")
            let box = Box(3, actorSystem: martlet.actorSystem)
            let boxed = try await expectError(.taskFailed) { try await context.call(SwapFrom(box: box)) }
            #expect(boxed.message.contains("above"), "\(boxed)")
            let installer = try await Installer("/", actorSystem: martlet.actorSystem)
            #expect(try await context.call(Fill(installer: installer, count: 4 << 20)) == 4 << 20)
            let full = try await expectError(.taskFailed) {
                try await context.call(Fill(installer: installer, count: Capabilities.callLimit + 1))
            }
            #expect(full.message.contains("limit") || full.message.contains("MiB"), "\(full)")
            // Nothing of it is left.
            #expect(try await context.call(Fill(installer: installer, count: 12 << 20)) == 12 << 20)
            #expect(await listener.whenLocal { $0.heard } == [])
        }
    }
}
