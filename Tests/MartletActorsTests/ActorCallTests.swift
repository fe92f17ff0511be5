import Distributed
import Foundation
import MartletTestKit
import MartletTestSupport
import MartletWire
import Testing

@testable import Martlet
@testable import MartletActors

/// Actors in contexts are called.
@Suite(.leakChecked) struct ActorCallTests {
    @Test(arguments: Way.available)
    func `An actor keeps its state and answers, wherever it is`(way: Way) async throws {
        try await withContext(way) { context in
            let installer = try await context.spawn(Installer.self, "/usr")
            #expect(try await installer.install("a") == ["/usr/a-1"])
            #expect(try await installer.install("b", version: 2) == ["/usr/a-1", "/usr/b-2"])
            #expect(try await installer.count == 2)
            try await installer.clear()
            #expect(try await installer.count == 0)
            #expect(try await installer.processNumber() == context.processID)
            #expect(installer.id.context == context.address)
            let large = [UInt8](repeating: 3, count: 3 << 20)
            #expect(try await installer.echo(large) == large)
        }
    }

    @Test(arguments: Way.available)
    func `Errors that its type names arrive as themselves, others with their words`(way: Way) async throws {
        try await withContext(way) { context in
            let installer = try await context.spawn(Installer.self, "/usr")
            await #expect(throws: NoSuchPackage(name: "x")) { try await installer.remove("x") }
            let error = try await expectError(.taskFailed) { try await installer.remove("plain") }
            #expect(error.remoteType == "PlainError")
            #expect(error.route == context.route)
            await #expect(throws: NoSuchPackage(name: "no root")) { try await context.spawn(Installer.self, "") }
            #expect(try await installer.count == 0)
        }
    }

    @Test func `Generic methods and generic actors`() async throws {
        try await withLocalContext { _, context in
            let installer = try await context.spawn(Installer.self, "/")
            #expect(try await installer.same(1, [2]) == [1, 2])
            #expect(try await installer.same(["a": true], []) == [["a": true]])
            let box = try await context.spawn(Box<[String]>.self, ["a"])
            #expect(try await box.swap(["b"]) == ["a"])
            #expect(try await box.swap([]) == ["b"])
            let number = try await context.spawn(Box.self, 3)
            #expect(try await number.swap(4) == 3)
        }
    }

    @Test func `An actor here is called from there, by who was given it`() async throws {
        try await withLocalContext { martlet, context in
            let listener = Listener(actorSystem: martlet.actorSystem)
            #expect(try await context.call(Tell(listener: listener, text: "a")) == 1)
            let installer = try await context.spawn(Installer.self, "/usr")
            #expect(try await installer.tell(listener, "b") == 2)
            let below = try await installer.spawnBelow("/below")
            #expect(try await below.tell(listener, "c") == 3)
            #expect(try await context.call(TellTwice(listener: listener)) == 9)
            let heard = await listener.whenLocal { $0.heard }
            #expect(heard == ["a", "/usr: b", "/below: c", "x", "x"])
            #expect(below.id.context.parent == context.address)
        }
    }

    @Test func `Siblings call each other, and what comes back is what went`() async throws {
        try await withLocalContext { martlet, first in
            let second = try await martlet.connect(.local)
            let deep = try await second.connect(.local)
            let one = try await first.spawn(Installer.self, "/one")
            let two = try await deep.spawn(Installer.self, "/two")
            #expect(try await one.tellAnother(two, "x") == ["/two/x-1"])
            #expect(try await two.tellAnother(one, "y") == ["/one/y-1"])
            // Its own reference leads to itself, without a call over the link.
            #expect(try await one.tellAnother(one.itself(), "z") == ["/one/y-1", "/one/z-1"])
            let itself = try await one.itself()
            #expect(itself == one && itself.id == one.id)
            #expect(try await second.call(EchoInstaller(installer: one)) == one)
        }
    }

    @Test func `An actor goes over a channel`() async throws {
        try await withLocalContext { martlet, context in
            let listener = Listener(actorSystem: martlet.actorSystem)
            let installer = try await context.spawn(Installer.self, "/usr")
            let (here, there) = martlet.makeChannel(of: Listener.self)
            try await installer.send(over: there, listener)
            let back = try #require(try await here.receive(timeout: .seconds(20)))
            // It is here: the very same object.
            #expect(back === listener)
        }
    }

    @Test func `A thousand calls at once get each its own answer`() async throws {
        try await withLocalContext { _, context in
            let installer = try await context.spawn(Installer.self, "/")
            let sum = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<1000 { group.addTask { try await installer.same(number, [])[0] } }
                return try await group.reduce(0, +)
            }
            #expect(sum == 499_500)
        }
    }

    @Test func `Deadlines and cancellation reach the far method`() async throws {
        try await TestFolder.with { folder in
            try await withLocalContext { _, context in
                let installer = try await context.spawn(Installer.self, "/")
                try await expectError(.deadlineExceeded) {
                    try await withActorDeadline(.milliseconds(300)) {
                        try await installer.wait(folder.file("s1"), folder.file("c1"))
                    }
                }
                await eventually { !folder.has("s1") || folder.has("c1") }
                let call = Task { try await installer.wait(folder.file("s2"), folder.file("c2")) }
                await eventually { folder.has("s2") }
                call.cancel()
                await #expect(throws: CancellationError.self) { try await call.value }
                await eventually { folder.has("c2") }
                #expect(try await installer.count == 0)
            }
        }
    }

    @Test func `A reference shows no token, and is for no file`() async throws {
        try await withLocalContext { _, context in
            let installer = try await context.spawn(Installer.self, "/")
            #expect("\(installer.id)" == "\(context.address)#1")
            var text = ""
            dump(installer.id, to: &text)
            #expect(!text.contains("token") && !"\(String(reflecting: installer.id))".contains("oken"))
            #expect(throws: MartletError.self) { try JSONEncoder().encode([installer]) }
            #expect(throws: MartletError.self) { try CBOREncoder().encode(installer.id) }
        }
    }
}
