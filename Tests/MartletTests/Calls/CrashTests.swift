import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

@Suite(.leakChecked) struct CrashTests {
    @Test(arguments: End.Way.allCases)
    func `A task that ends its process loses the context, and its last words arrive`(way: End.Way) async throws {
        let log = OutputLog()
        try await withLocalContext(log.options) { martlet, context in
            let other = Task { try await context.run("sleep 600") }
            let error = try await expectError(.contextLost) {
                try await context.call(End(way: way, lastWords: "last words of \(way)"), deadline: .seconds(20))
            }
            #expect(error.route == context.route)
            await #expect(throws: MartletError.self) { try await other.value }
            await eventually { log.line(with: "last words of \(way)") != nil }
            #expect(log.line(with: "last words of \(way)")?.route == context.route)
            #expect(log.line(with: "last words of \(way)")?.pipe == .error)
            if way == .traps { await eventually { log.line(with: "trapped on purpose") != nil } }
            // The others are unharmed, and so is the number: it is never used again.
            let next = try await martlet.connect(.local)
            #expect(next.address != context.address)
            #expect(try await next.call(Add(a: 2, b: 3)) == 5)
            try await expectError(.contextLost) { try await context.call(Nothing()) }
            #expect(await Duration.of { await context.close() } < .seconds(5))
        }
    }

    @Test func `A killed context takes those below it along, and calls to them fail`() async throws {
        try await withLocalContext { _, context in
            let below = try await context.connect(.local)
            let far = try await below.connect(.local)
            let calls = [below, far].map { target in Task { try await target.run("sleep 600") } }
            try await far.call(Nothing())
            await #expect(throws: MartletError.self) {
                try await context.call(End(way: .isKilled, lastWords: "gone"))
            }
            for call in calls { await #expect(throws: MartletError.self) { try await call.value } }
            try await expectError(.contextLost) { try await far.call(Nothing()) }
        }
    }
}
