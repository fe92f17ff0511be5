import Foundation
import Martlet
import MartletTestKit
import Testing

@testable import MartletPython

@Suite(.leakChecked) struct CommandEndTests {
    /// Starts a grandchild that ignores all polite signals, and prints.
    private func stubborn(_ marker: String) -> String {
        "(trap '' TERM HUP INT; echo armed; sleep \(marker); sleep \(marker)) & sleep \(marker); wait"
    }

    private func isGone(_ marker: String) async {
        await eventually(within: .seconds(20)) { ProcessTable.carrying(marker).isEmpty }
    }

    @Test(arguments: Interpreters.all)
    func `A timeout keeps what came and ends all that the command started`(interpreter: String) async throws {
        try await withPython(interpreter) { py async throws in
            let marker = makeMarker()
            var options = CommandOptions()
            options.timeout = .milliseconds(500)
            options.killGrace = .milliseconds(300)
            for command in [
                stubborn(marker), "trap '' TERM; echo armed; while :; do sleep \(marker); done",
                "echo armed; kill -STOP $$; sleep \(marker)",
            ] {
                let result = try await py.run(command, options: options)
                #expect(result.termination == .timedOut(after: .milliseconds(500)))
                #expect(result.lines == ["armed"])
                await isGone(marker)
            }
            options.timeout = .seconds(60)
            #expect(try await py.run("echo quick", options: options).termination == .exited(0))
        }
    }

    @Test(arguments: Interpreters.all)
    func `Cancelling, and a reader that throws, end the command and all it started`(interpreter: String) async throws {
        try await withPython(interpreter) { py async throws in
            let marker = makeMarker()
            let lines = CommandLines()
            var options = CommandOptions()
            options.killGrace = .milliseconds(300)
            let run = Task { [options] in
                try await py.run(stubborn(marker), options: options, onLine: lines.append)
            }
            await eventually { lines.texts == ["armed"] }
            run.cancel()
            await #expect(throws: CancellationError.self) { try await run.value }
            options.input = .bytes([UInt8](repeating: 1, count: 16 << 20))
            await #expect(throws: Enough.self) {
                try await py.run("echo first; exec sleep \(marker)", options: options) { _ in throw Enough() }
            }
            await isGone(marker)
            #expect(try await py.run("echo next").lines == ["next"])
        }
    }

    @Test(arguments: Interpreters.all)
    func `A child in the background does not hold the result back, and lives as long as the context`(
        interpreter: String
    ) async throws {
        try await withPython(interpreter) { py async throws in
            let marker = makeMarker()
            let result = try await py.run("sleep \(marker) & echo started")
            #expect(result.lines == ["started"] && result.succeeded)
            #expect(ProcessTable.carrying(marker).count == 1)
            let lines = CommandLines()
            let run = Task { try await py.run(stubborn(marker), onLine: lines.append) }
            await eventually { lines.texts == ["armed"] }
            await py.close()
            await #expect(throws: (any Error).self) { try await run.value }
            await isGone(marker)
            #expect(ProcessTable.entry(of: py.facts.processID) == nil)
        }
    }

    @Test(arguments: Interpreters.all)
    func `A kill takes along what its code and its commands have started`(interpreter: String) async throws {
        try await withPython(interpreter) { py async throws in
            let marker = makeMarker()
            let lines = CommandLines()
            let run = Task { try await py.run(stubborn(marker), onLine: lines.append) }
            await eventually { lines.texts == ["armed"] }
            try await py.run("sleep \(marker) >/dev/null 2>&1 &")
            let code = py.exec(
                """
                import os, subprocess, time
                subprocess.Popen(["sh", "-c", "trap '' TERM HUP; sleep \(marker) & sleep \(marker); true"])
                if os.fork() == 0:
                    # It has all descriptors of the context's.
                    time.sleep(600)
                channel.send(1)
                """)
            #expect(try await code.receive() == 1)
            await eventually { ProcessTable.carrying(marker).count >= 7 }
            let pid = py.facts.processID
            #expect(ProcessTable.all().filter { $0.group == pid && !$0.isZombie }.count >= 4)
            kill(pid, SIGKILL)
            await #expect(throws: (any Error).self) { try await run.value }
            await isGone(marker)
            await eventually { !ProcessTable.all().contains { $0.group == pid && !$0.isZombie } }
        }
    }

    @Test func `A helper that is killed is told, and calls go on`() async throws {
        try await withPython { py async throws in
            let marker = makeMarker()
            try await py.run("true")
            let helper = try #require(Int32(try await py.run("echo $PPID").lines.first ?? ""))
            #expect(helper != py.facts.processID)
            let lines = CommandLines()
            let run = Task { try await py.run("echo up; sleep \(marker)", onLine: lines.append) }
            await eventually { lines.texts == ["up"] }
            kill(helper, SIGKILL)
            for pid in ProcessTable.carrying(marker).map(\.pid) { kill(pid, SIGKILL) }
            let error = try await #require(throws: MartletError.self) { try await run.value }
            #expect(error.code == .contextLost)
            #expect(error.message.contains("helper"))
            await #expect(throws: MartletError.self) { try await py.run("true") }
            #expect(try await py.call("len", "abc") == 3)
        }
    }

    /// Resident memory of a process, in bytes.
    private func residentMemory(of pid: Int32) -> Int {
        let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }

    private func bytesWritten(byProgramWith marker: String) -> Int {
        guard let entry = ProcessTable.carrying(marker).first(where: { $0.name == "yes" }),
            let text = try? String(contentsOfFile: "/proc/\(entry.pid)/io", encoding: .utf8)
        else { return 0 }
        let line = text.split(separator: "\n").first { $0.hasPrefix("wchar:") }
        return line?.split(separator: " ").last.flatMap { Int($0) } ?? 0
    }

    @Test func `A reader that stands still stops the program, and memory stays where it is`() async throws {
        try await withPython { py async throws in
            let marker = makeMarker()
            let gate = AsyncStream<Void>.makeStream()
            let lines = CommandLines()
            var options = CommandOptions()
            options.outputLimit = 1000
            let helper = try #require(Int32(try await py.run("echo $PPID").lines.first ?? ""))
            _ = try await py.run("head -c 100000000 /dev/zero", options: options)
            let before = [getpid(), py.facts.processID, helper].map(residentMemory)
            #expect(before.allSatisfy { $0 > 0 })
            let run = Task { [options] in
                try await py.run("yes \(marker)", options: options) { line in
                    lines.append(line)
                    for await _ in gate.stream {}
                }
            }
            await eventually { lines.texts.count == 1 }
            var written = -1
            await eventually(within: .seconds(20)) {
                let now = bytesWritten(byProgramWith: marker)
                defer { written = now }
                return now == written && now > 0
            }
            let after = [getpid(), py.facts.processID, helper].map(residentMemory)
            for (before, after) in zip(before, after) { #expect(after - before < 64 << 20) }
            #expect(written < 64 << 20)
            // Nothing else is held up.
            #expect(try await py.call("len", "abc") == 3)
            #expect(try await py.run("echo through").lines == ["through"])
            run.cancel()
            gate.continuation.finish()
            await #expect(throws: CancellationError.self) { try await run.value }
        }
    }

    @Test func `A program that does not read stops who feeds it, and memory stays where it is`() async throws {
        try await withPython { py async throws in
            let helper = try #require(Int32(try await py.run("echo $PPID").lines.first ?? ""))
            let before = [py.facts.processID, helper].map(residentMemory)
            let marker = makeMarker()
            var options = CommandOptions()
            options.input = .bytes([UInt8](repeating: 1, count: 200 << 20))
            let run = Task { [options] in try await py.run("exec sleep \(marker)", options: options) }
            await eventually { !ProcessTable.carrying(marker).isEmpty }
            for _ in 0..<20 { _ = try await py.ping() }
            let after = [py.facts.processID, helper].map(residentMemory)
            for (before, after) in zip(before, after) { #expect(after - before < 64 << 20) }
            run.cancel()
            await #expect(throws: CancellationError.self) { try await run.value }
            await isGone(marker)
        }
    }
}
