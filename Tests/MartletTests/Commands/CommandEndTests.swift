import Glibc
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked) struct CommandEndTests {
    /// Starts a grandchild that ignores all polite signals, and prints.
    private func stubborn(_ marker: String) -> String {
        "(trap '' TERM HUP INT; echo armed; sleep \(marker); sleep \(marker)) & sleep \(marker); wait"
    }

    @Test func `A timeout keeps what came and ends all that the command started`() async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            var options = CommandOptions()
            options.timeout = .milliseconds(500)
            options.killGrace = .milliseconds(300)
            let result = try await context.run(stubborn(marker), options: options)
            #expect(result.termination == .timedOut(after: .milliseconds(500)))
            #expect(result.lines == ["armed"])
            #expect(!result.succeeded)
            await eventually(within: .seconds(3)) { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `A timeout also ends a program that ignores SIGTERM`() async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            var options = CommandOptions()
            options.timeout = .milliseconds(300)
            options.killGrace = .milliseconds(200)
            let result = try await context.run(
                "trap '' TERM; echo up; while :; do sleep \(marker); done", options: options)
            #expect(result.termination == .timedOut(after: .milliseconds(300)))
            #expect(result.lines == ["up"])
            await eventually(within: .seconds(3)) { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `Of programs that end together none stays a zombie`() async throws {
        try await withLocalContext { _, context in
            for _ in 1...20 {
                await #expect(throws: PlainError.self) {
                    try await context.run("sleep 86400 & sleep 86400 & echo up; (sleep 86400; true); true") { _ in
                        throw PlainError(text: "enough")
                    }
                }
            }
            await eventually { ProcessTable.descendants(of: context.processID).allSatisfy { $0.name != "sleep" } }
        }
    }

    @Test func `A command that ends in time is not touched by its timeout`() async throws {
        try await withLocalContext { _, context async throws in
            var options = CommandOptions()
            options.timeout = .seconds(60)
            #expect(try await context.run("echo quick", options: options).termination == .exited(0))
        }
    }

    @Test func `A trickle of output is no reason to time out early or late`() async throws {
        try await withLocalContext { _, context in
            var options = CommandOptions()
            options.timeout = .seconds(20)
            let result = try await context.run("for i in 1 2 3 4 5; do echo $i; sleep 0.1; done", options: options)
            #expect(result.lines == ["1", "2", "3", "4", "5"])
            #expect(result.succeeded)
        }
    }

    @Test func `Cancelling the caller ends the command and all it started`() async throws {
        try await withLocalContext { _, context async throws in
            let marker = makeMarker()
            let lines = Lines()
            var options = CommandOptions()
            options.killGrace = .milliseconds(300)
            let run = Task { [options] in
                try await context.run(stubborn(marker), options: options, onLine: lines.append)
            }
            await eventually { lines.texts == ["armed"] }
            run.cancel()
            await #expect(throws: CancellationError.self) { try await run.value }
            await eventually(within: .seconds(3)) { ProcessTable.carrying(marker).isEmpty }
            #expect(try await context.run("echo next").lines == ["next"])
        }
    }

    @Test func `A reader that throws ends the command`() async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            await #expect(throws: PlainError.self) {
                try await context.run("echo first; exec sleep \(marker)") { _ in throw PlainError(text: "enough") }
            }
            await eventually(within: .seconds(4)) { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `A child in the background that keeps the output open does not hold the result back`() async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            let time = try await Duration.of {
                let result = try await context.run("sleep \(marker) & echo started")
                #expect(result.lines == ["started"])
                #expect(result.succeeded)
            }
            #expect(time < .seconds(10))
            // It lives as long as the context.
            #expect(ProcessTable.carrying(marker).count == 1)
            await context.close()
            await eventually(within: .seconds(4)) { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `Closing a context ends its commands and what they started`() async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            let lines = Lines()
            let run = Task { try await context.run(stubborn(marker), onLine: lines.append) }
            await eventually { lines.texts == ["armed"] }
            let time = await Duration.of { await context.close() }
            #expect(time < .seconds(6))
            await #expect(throws: (any Error).self) { try await run.value }
            await eventually(within: .seconds(3)) { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `A stopped command is ended too`() async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            var options = CommandOptions()
            options.timeout = .milliseconds(300)
            let result = try await context.run("echo up; kill -STOP $$; sleep \(marker)", options: options)
            #expect(result.termination == .timedOut(after: .milliseconds(300)))
            await eventually(within: .seconds(3)) { ProcessTable.carrying(marker).isEmpty }
        }
    }
}
