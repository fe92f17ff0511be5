import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

@Suite(.leakChecked) struct LocalConnectTests {
    @Test func `ps shows whose context it is`() async throws {
        try await withLocalContext { _, context in
            let facts = Facts.current()
            let title = "martlet:\(facts.user)@\(facts.hostname):\(getpid())"
            await eventually { ProcessTable.entry(of: context.processID)?.commandLine == [title] }
            let below = try await context.connect(.local)
            await eventually { ProcessTable.entry(of: below.processID)?.commandLine == [title] }
        }
    }

    @Test func `The title has room wherever our own variable stands in the environment`() async throws {
        try await withLocalContext { martlet, _ async throws in
            var options = LocalOptions()
            // With few variables ours is the first in a third of all starts.
            let kept: Set = ["PATH", "LD_LIBRARY_PATH", "MARTLET_TEST_RUN"]
            for name in ProcessInfo.processInfo.environment.keys where !kept.contains(name) {
                options.environment[name] = .some(nil)
            }
            options.environment["ROOM"] = String(repeating: "x", count: 100)
            for _ in 1...20 {
                let context = try await martlet.connect(.local(options))
                await eventually {
                    ProcessTable.entry(of: context.processID)?.commandLine.first?.hasPrefix("martlet:") == true
                }
                await context.close()
            }
        }
    }

    @Test func `A context may have another title, but none that could be taken for a path`() async throws {
        try await withLocalContext { martlet, context in
            var options = ConnectOptions()
            options.title = "backup of web1: näht"
            for parent in [nil, context] {
                let named =
                    if let parent { try await parent.connect(.local, options: options) } else {
                        try await martlet.connect(.local, options: options)
                    }
                await eventually { ProcessTable.entry(of: named.processID)?.commandLine == ["backup of web1: näht"] }
                for bad in ["a/b", "line\nbreak", "\u{1b}[31m", "", "\u{7f}"] {
                    options.title = bad
                    try await expectError(.misuse) {
                        if let parent { return try await parent.connect(.local, options: options) }
                        return try await martlet.connect(.local, options: options)
                    }
                }
                options.title = "backup of web1: näht"
            }
        }
    }

    @Test func `A local context may have another directory, environment and nice level`() async throws {
        try await withMartlet { martlet in
            var options = LocalOptions()
            options.directory = "/usr"
            options.environment = ["GREETING": "a b", "HOME": nil]
            options.nice = 3
            let context = try await martlet.connect(.local(options))
            #expect(
                try await context.run("pwd; echo \"$GREETING\"; echo \"${HOME-none}\"").lines == [
                    "/usr", "a b", "none",
                ])
            let own = try #require(
                Int32(try await runProgram(["nice"]).output.trimmingCharacters(in: .whitespacesAndNewlines)))
            #expect(try await context.run("nice").lines == ["\(min(own + 3, 19))"])
        }
    }

    @Test func `A local context in a directory that is not there says so`() async throws {
        try await withMartlet { martlet in
            var options = LocalOptions()
            options.directory = "/no/such/place"
            let error = try await expectError(.connectorFailed) { try await martlet.connect(.local(options)) }
            #expect(error.message.contains("/no/such/place"))
            #expect(error.route.steps == ["local"])
        }
    }

    @Test func `Fifty connects at once all succeed`() async throws {
        try await withMartlet { martlet in
            try await withThrowingTaskGroup(of: Int.self) { group async throws in
                for number in 0..<50 {
                    group.addTask { try await martlet.connect(.local).call(Add(a: number, b: 0)) }
                }
                #expect(try await group.reduce(0, +) == 1225)
            }
        }
    }

    @Test func `A connect works while many threads of the executor are blocked, here and there`() async throws {
        try await TestFolder.with { folder in
            try await withLocalContext { martlet, context in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<20 {
                        group.addTask {
                            folder.touch("here\(number)")
                            Signpost.block(until: folder.file("release"))
                        }
                        group.addTask {
                            let block = Block(
                                way: .sleeping, started: folder.file("there\(number)"), release: folder.file("release"))
                            _ = try await context.call(block)
                        }
                    }
                    await eventually { folder.count("here") == 20 && folder.count("there") == 20 }
                    let near = try await martlet.connect(.local)
                    #expect(try await near.call(Add(a: 1, b: 1)) == 2)
                    let far = try await context.connect(.local)
                    #expect(try await far.call(Add(a: 1, b: 1)) == 2)
                    folder.touch("release")
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test func `A connector that is private cannot be used elsewhere, and says so`() async throws {
        try await withLocalContext { martlet, context in
            #expect(try await martlet.connect(Hidden()).call(Add(a: 1, b: 1)) == 2)
            let error = try await expectError(.taskNotRemote) { try await context.connect(Hidden()) }
            #expect(error.advice?.contains("internal") == true)
        }
    }

    @Test func `A connect that is cancelled leaves nothing`() async throws {
        try await withMartlet { martlet in
            let marker = makeMarker()
            let connect = Task { try await martlet.connect(.command(["sh", "-c", "sleep \(marker)"])) }
            await eventually { !ProcessTable.carrying(marker).isEmpty }
            connect.cancel()
            await #expect(throws: CancellationError.self) { try await connect.value }
            await eventually(within: .seconds(3)) { ProcessTable.carrying(marker).isEmpty }
        }
    }

    @Test func `A connect that waits for its turn can be cancelled`() async throws {
        try await withMartlet { martlet in
            let marker = makeMarker()
            let silent = CommandConnector(command: ["sh", "-c", "sleep \(marker)"])
            let first = (0..<8).map { _ in Task { try await martlet.connect(silent) } }
            await eventually { ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 8 }
            let ninth = Task { try await martlet.connect(silent) }
            let time = await Duration.of {
                ninth.cancel()
                await #expect(throws: CancellationError.self) { try await ninth.value }
            }
            #expect(time < .seconds(5))
            for connect in first { connect.cancel() }
            for connect in first { _ = await connect.result }
        }
    }

    @Test func `Who is told of a connect's phases may block`() async throws {
        let isHeld = Locked(true)
        defer { isHeld.withLock { $0 = false } }
        let phases = Phases()
        try await withLocalContext { martlet, context in
            let connect = Task {
                try await martlet.connect(.local) { phase, time in
                    phases.add(phase, time)
                    while isHeld.withLock({ $0 }) { usleep(1000) }
                }
            }
            await eventually { phases.names == [.queue] }
            for number in 0..<20 {
                #expect(try await context.call(Add(a: number, b: 1), deadline: .seconds(10)) == number + 1)
            }
            #expect(phases.names == [.queue])
            isHeld.withLock { $0 = false }
            let connected = try await connect.value
            // It is told of all before it has the context.
            #expect(Set(phases.names) == Set(connected.timings.phases.keys))
            #expect(phases.names.last == .handshake)
        }
    }
}

private struct Hidden: Connector {
    var label: String { "hidden" }
    func launch(_ bootstrap: Bootstrap) -> Launch { .image(.init()) }
}
