import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Leads to what the test's own hub has, by its place.
struct TestLent: LentConnector {
    var number: Int
    var label: String { "lent:\(number)" }

    func lender(_ provided: (any Sendable)?) async throws -> Lender {
        guard let pool = provided as? TestPool else { throw MartletError(.misuse, "this is no hub") }
        return try await pool.lender(number)
    }
}

/// What a process keeps for its guests.
actor TestPool {
    private(set) var contexts: [Context]
    private(set) var lent = 0

    init(_ contexts: [Context]) { self.contexts = contexts }

    func lender(_ number: Int) async throws -> Lender {
        guard contexts.indices.contains(number) else { throw MartletError(.unreachable, "there is no \(number)") }
        lent += 1
        return Lender(contexts[number]) { Task { await self.left() } }
    }

    private func left() { lent -= 1 }
}

/// Contexts that one controller has, lent to another one.
@Suite(.leakChecked) struct LendingTests {
    private struct Scene {
        var context: Context
        var pool: TestPool
        var place: HubPlace
    }

    private func withHub(_ body: @Sendable (Scene) async throws -> Void) async throws {
        try await TestFolder.with { folder in
            try await withLocalContext { martlet, context in
                let below = try await context.connect(.local)
                let pool = TestPool([context, below])
                let place = HubPlace(directory: folder.file("hub"))
                let door = try GuestDoor([place], provided: pool)
                do { try await body(Scene(context: context, pool: pool, place: place)) } catch {
                    door.close()
                    throw error
                }
                // Whoever was in leaves nothing behind.
                await eventually { await pool.lent == 0 }
                if context.hasLink { await eventually { try await context.status().running == 0 } }
                door.close()
            }
        }
    }

    @Test(arguments: [0, 1])
    func `A lent context does all that one's own does, and is left as it was`(number: Int) async throws {
        try await withHub { scene in
            let lender = await scene.pool.contexts[number]
            try await withMartlet(OutputLog().options) { martlet in
                let hub = try #require(try await martlet.connectHub([scene.place]))
                let context = try await hub.connect(TestLent(number: number))
                #expect(context.route.description == "controller → hub → lent:\(number)")
                #expect(context.facts.processID == lender.processID)
                #expect(try await context.call(Add(a: 2, b: 3)) == 5)
                var options = CommandOptions()
                options.input = .text("in")
                let result = try await context.run("cat; exit 3", options: options)
                #expect(result.text == "in" && result.termination == .exited(3))
                let (items, there) = context.makeChannel(of: Int.self)
                async let count: Void = context.call(Count(to: there, limit: 1000))
                var sum = 0
                for try await item in items { sum += item }
                try await count
                #expect(sum == 499_500)
                let below = try await context.connect(.local)
                #expect(try await below.call(Add(a: 1, b: 1)) == 2)
                #expect(below.processID != lender.processID)
                await context.close()
                #expect(ProcessTable.entry(of: below.processID)?.isAlive != true)
            }
            #expect(try await lender.call(Add(a: 1, b: 2)) == 3)
        }
    }

    @Test func `What runs there for it ends with it, and nothing else does`() async throws {
        try await withHub { scene in
            let (mine, theirs) = (makeMarker(), makeMarker())
            let other = Task { try await scene.context.run("sleep \(theirs)") }
            try await withMartlet(OutputLog().options) { martlet in
                let hub = try #require(try await martlet.connectHub([scene.place]))
                let context = try await hub.connect(TestLent(number: 0))
                let run = Task { try await context.run("(trap '' TERM; sleep \(mine)) & sleep \(mine)") }
                await eventually { ProcessTable.carrying(mine).filter { $0.name == "sleep" }.count == 2 }
                await eventually { !ProcessTable.carrying(theirs).isEmpty }
                // As when its process is killed: the hub finds the connection closed.
                await hub.close(within: .seconds(1))
                try await expectError(.contextLost) { try await run.value }
                await eventually { ProcessTable.carrying(mine).isEmpty }
            }
            #expect(!ProcessTable.carrying(theirs).isEmpty)
            other.cancel()
            _ = await other.result
        }
    }

    @Test func `When the lent context is lost, whoever uses it is told why`() async throws {
        try await withHub { scene in
            try await withMartlet(OutputLog().options) { martlet in
                let hub = try #require(try await martlet.connectHub([scene.place]))
                let context = try await hub.connect(TestLent(number: 1))
                let run = Task { try await context.run("sleep 300") }
                await eventually { try await context.status().running == 1 }
                kill(scene.context.processID, SIGKILL)
                let error = try await expectError(.contextLost) { try await run.value }
                #expect(error.message.contains("signal KILL"), "\(error)")
                try await expectError(.contextLost) { _ = try await hub.connect(TestLent(number: 0)) }
            }
        }
    }

    @Test func `A door leaves what is in its place by now as it is`() async throws {
        try await TestFolder.with { folder in
            let place = HubPlace(directory: folder.file("hub"))
            let old = try GuestDoor([place], provided: 0)
            try FileManager.default.removeItem(atPath: place.directory)
            let new = try GuestDoor([place], provided: 0)
            old.close()
            #expect(FileManager.default.fileExists(atPath: place.socket))
            new.close()
            #expect(!FileManager.default.fileExists(atPath: place.directory))
        }
    }

    @Test func `What cannot be lent says so`() async throws {
        try await withHub { scene in
            try await withMartlet(OutputLog().options) { martlet in
                let hub = try #require(try await martlet.connectHub([scene.place]))
                let error = try await expectError(.unreachable) { _ = try await hub.connect(TestLent(number: 7)) }
                #expect(error.message == "there is no 7" && error.route.description == "controller → hub → lent:7")
                try await expectError(.refused) {
                    _ = try await hub.connect(TestLent(number: 0)).detach(lease: .seconds(60))
                }
                try await expectError(.misuse) { _ = try await martlet.connect(TestLent(number: 0)) }
            }
        }
    }
}
