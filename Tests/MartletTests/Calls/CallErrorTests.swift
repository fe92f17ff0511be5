import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

private struct Hidden: RemoteTask {
    func run(in context: RemoteContext) async throws -> Int { 1 }
}

@Suite(.leakChecked) struct CallErrorTests {
    @Test func `An error that the task declares arrives as itself`() async throws {
        try await withLocalContext { _, context in
            await #expect(throws: DiskError(path: "/full", code: 28)) {
                try await context.call(FailTyped(path: "/full"))
            }
        }
    }

    @Test func `Any other error tells its type, its text and where`() async throws {
        try await withLocalContext { _, context in
            let error = try await expectError(.taskFailed) { try await context.call(FailPlain()) }
            #expect(error.message.contains("plain: no luck"))
            #expect(error.remoteType?.contains("PlainError") == true)
            #expect(error.route == Route(steps: ["local"]))
        }
    }

    @Test func `A private or local type is refused before anything is sent`() async throws {
        struct Local: RemoteTask {
            func run(in context: RemoteContext) async throws -> Int { 1 }
        }
        try await withLocalContext { _, context in
            try await context.call(Nothing())
            let sent = context.linkTraffic.sent
            let hidden = try await expectError(.taskNotRemote) { try await context.call(Hidden()) }
            #expect(hidden.message.contains("Hidden"))
            #expect(hidden.advice?.contains("internal") == true)
            #expect(hidden.route == context.route)
            try await expectError(.taskNotRemote) { try await context.call(Local()) }
            #expect(context.linkTraffic.sent == sent)
        }
    }

    @Test func `What does not encode or decode says on which side`() async throws {
        try await withLocalContext { _, context in
            let sent = try await expectError(.valueUnusable) { try await context.call(Unsendable()) }
            #expect(sent.message.contains("arguments of Unsendable do not encode"))
            let taken = try await expectError(.valueUnusable) { try await context.call(OneWay()) }
            #expect(taken.message.contains("arguments of OneWay do not decode"))
            #expect(taken.route == context.route)
            let made = try await expectError(.valueUnusable) { try await context.call(GiveStubborn(encodes: false)) }
            #expect(made.message.contains("does not encode"))
            let given = try await expectError(.valueUnusable) { try await context.call(GiveStubborn(encodes: true)) }
            #expect(given.message.contains("does not decode"))
            #expect(try await context.call(Add(a: 2, b: 2)) == 4)
        }
    }

    @Test func `A closed context refuses calls, commands, pings and connects at once`() async throws {
        try await withLocalContext { _, context in
            await context.close()
            await context.close()
            try await expectError(.contextLost) { try await context.call(Nothing()) }
            try await expectError(.contextLost) { try await context.run("true") }
            try await expectError(.contextLost) { _ = try await context.ping() }
            try await expectError(.contextLost) { _ = try await context.connect(.local) }
        }
    }
}
