import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Ignores all polite requests to end, and holds its thread.
struct NeverEnd: RemoteTask {
    var started: String

    func run(in context: RemoteContext) async throws {
        for number in [SIGTERM, SIGHUP, SIGINT, SIGQUIT] { signal(number, SIG_IGN) }
        Signpost.leave(started)
        while true { usleep(100_000) }
    }
}

@Suite(.leakChecked) struct ClosingTests {
    @Test func `A task that never ends holds nobody up`() async throws {
        try await TestFolder.with { folder in
            try await withLocalContext { _, context in
                let call = Task { try await context.call(NeverEnd(started: folder.file("started"))) }
                await eventually { folder.has("started") }
                let entry = try #require(ProcessTable.entry(of: context.processID))
                let time = await Duration.of { await context.close(within: .seconds(3)) }
                #expect(time < .seconds(6), "\(time)")
                #expect(!entry.isAlive)
                await #expect(throws: (any Error).self) { try await call.value }
            }
        }
    }

    @Test(arguments: [true, false])
    func `Tasks that hold every thread of the pool hold up neither the end nor what ends with it`(
        drains: Bool
    ) async throws {
        try await TestFolder.with { folder in
            try await withLocalContext { _, context in
                let marker = makeMarker()
                let below = try await context.connect(.local)
                let run = Task { try await below.run("(trap '' TERM HUP; sleep \(marker)) & sleep \(marker)") }
                let own = Task { try await context.run("(trap '' TERM HUP; sleep \(marker)) & sleep \(marker)") }
                await eventually { ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 4 }
                let entries = try [context, below].map { try #require(ProcessTable.entry(of: $0.processID)) }
                // The pool has 128 threads, of which the last takes no job: more of these never come to run.
                for number in 0..<140 {
                    _ = Task { try await context.call(NeverEnd(started: folder.file("started\(number)"))) }
                }
                await eventually(within: .seconds(60)) { folder.count("started") >= 127 }
                _ = try await context.ping()
                let time = await Duration.of {
                    if drains {
                        await context.shutdown(deadline: .seconds(2))
                    } else {
                        await context.close()
                    }
                }
                #expect(time < .seconds(15), "\(time)")
                await eventually { entries.allSatisfy { !$0.isAlive } && ProcessTable.carrying(marker).isEmpty }
                for task in [run, own] { try await expectError(.contextLost) { try await task.value } }
            }
        }
    }

    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `A task that never ends behind ssh ends with the scope`() async throws {
        try await TestFolder.with { folder in
            try await withThrowawaySSHD(.warm) { sshd in
                let time = try await Duration.of {
                    try await withMartlet(OutputLog().options) { martlet in
                        let context = try await martlet.connect(sshd.connector(.pipe))
                        let below = try await context.connect(.local)
                        for (number, target) in [context, below].enumerated() {
                            let task = NeverEnd(started: folder.file("started\(number)"))
                            _ = Task { try await target.call(task) }
                        }
                        await eventually { folder.count("started") == 2 }
                    }
                }
                #expect(time < .seconds(20), "\(time)")
            }
        }
    }

    @Test func `Closing twice, at once or one after the other, is closing once`() async throws {
        try await withLocalContext { _, context in
            let below = try await context.connect(.local)
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask { await below.close() }
                    group.addTask { await context.close() }
                }
            }
            await context.close()
            await below.close()
            #expect(ProcessTable.entry(of: context.processID) == nil)
            #expect(ProcessTable.entry(of: below.processID) == nil)
        }
    }

    @Test func `An error in the scope ends everything, and comes out of it`() async throws {
        let marker = makeMarker()
        await #expect(throws: PlainError.self) {
            try await withLocalContext { _, context in
                let run = Task { try await context.run("sleep \(marker)") }
                await eventually { !ProcessTable.carrying(marker).isEmpty }
                _ = run
                throw PlainError(text: "out")
            }
        }
        #expect(ProcessTable.carrying(marker).isEmpty)
    }

    @Test func `A scope whose task is cancelled still ends everything`() async throws {
        let marker = makeMarker()
        let scope = Task {
            try await withLocalContext { _, context in
                try await context.run("sleep \(marker)")
            }
        }
        await eventually { !ProcessTable.carrying(marker).isEmpty }
        scope.cancel()
        await #expect(throws: CancellationError.self) { try await scope.value }
        #expect(ProcessTable.carrying(marker).isEmpty)
    }

    @Test func `Two hundred contexts that open and close leave nothing`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let first = try await martlet.connect(.local)
            let descriptors = openDescriptors()
            for round in 0..<20 {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<10 {
                        group.addTask {
                            try await martlet.withContext(.local) { context in
                                #expect(try await context.call(Add(a: round, b: number)) == round + number)
                                if number == 0 { _ = try await context.run("true") }
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            #expect(ProcessTable.descendants().filter { $0.parent == getpid() && $0.isZombie }.isEmpty)
            await eventually { openDescriptors() <= descriptors }
            #expect(martlet.runtime.children.count == 1)
            #expect(try await first.call(Add(a: 1, b: 1)) == 2)
        }
    }

    @Test func `Memory is back where it was after many calls, commands and contexts`() async throws {
        try await withLocalContext { martlet, context in
            let bytes = [UInt8](repeating: 1, count: 2000)
            @Sendable func step(_ number: Int) async throws {
                switch number {
                case 0:
                    let result = try await context.run("echo out; echo err >&2; exit 3")
                    #expect(result.lines == ["out"])
                case 1:
                    await #expect(throws: DiskError.self) { try await context.call(FailTyped(path: "/")) }
                case 2:
                    let call = Task { try await context.call(WaitForCancellation(started: "", cancelled: "")) }
                    call.cancel()
                    await #expect(throws: CancellationError.self) { try await call.value }
                default:
                    let back = try await context.call(Echo(value: bytes))
                    #expect(back == bytes)
                }
            }
            @Sendable func round() async throws {
                for _ in 0..<50 {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for number in 0..<100 { group.addTask { try await step(number) } }
                        try await group.waitForAll()
                    }
                }
                for _ in 0..<5 {
                    let below = try await context.connect(.local)
                    let sum = try await below.call(Add(a: 1, b: 2))
                    #expect(sum == 3)
                    await below.close()
                    try await martlet.withContext(.local) { _ in }
                }
            }
            // What is made once, and kept, is made in the first round.
            try await round()
            let processes = [getpid(), context.processID]
            // 200 bytes for each of 20,000 calls would be 4 MB. A leak grows every time; an allocator that takes another
            // piece does so now and then, and more often where the machine is busy.
            var growths: [[Int]] = []
            repeat {
                growths.append(try await Self.growth(of: processes, round))
            } while growths.last!.contains { $0 >= 3 << 20 } && growths.count < 4
            #expect(growths.last!.allSatisfy { $0 < 3 << 20 }, "grew by \(growths) bytes, one round after the other")
        }
    }

    private static func growth(
        of processes: [Int32], _ round: @Sendable () async throws -> Void
    ) async throws -> [Int] {
        let before = processes.map(ownMemory(of:))
        for _ in 0..<4 { try await round() }
        return zip(processes.map(ownMemory(of:)), before).map { $0 - $1 }
    }

    /// What of a process's memory is in use and its alone, in bytes: not the pages of files.
    private static func ownMemory(of process: Int32) -> Int {
        let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }

    private func openDescriptors() -> Int {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []).count
    }
}
