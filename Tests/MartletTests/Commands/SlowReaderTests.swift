import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked) struct SlowReaderTests {
    @Test func `A reader that stands still stops the program, and memory stays where it is`() async throws {
        try await withLocalContext { _, context in
            let gate = AsyncStream<Void>.makeStream()
            let lines = Lines()
            var options = CommandOptions()
            options.outputLimit = 1000
            _ = try await context.run("yes | head -c 1000000", options: options) { _ in }
            let before = (residentMemory(of: getpid()), residentMemory(of: context.processID))
            #expect(before.0 > 0 && before.1 > 0)
            let run = Task { [options] in
                try await context.run("yes 0123456789012345678901234567890123456789", options: options) { line in
                    lines.append(line)
                    for await _ in gate.stream {}
                }
            }
            await eventually { lines.texts.count == 1 }
            // The program is stopped when it has written nothing more between two looks.
            var written = -1
            await eventually(within: .seconds(20)) {
                let now = Self.bytesWritten(byProgram: "yes", below: context.processID)
                defer { written = now }
                return now == written && now > 0
            }
            #expect(residentMemory(of: getpid()) - before.0 < 64 << 20)
            #expect(residentMemory(of: context.processID) - before.1 < 64 << 20)
            #expect(written < 64 << 20)
            run.cancel()
            gate.continuation.finish()
            await #expect(throws: CancellationError.self) { try await run.value }
        }
    }

    @Test func `What a program left in its pipe comes whole to a slow reader`() async throws {
        try await withLocalContext { _, context in
            let gate = AsyncStream<Void>.makeStream()
            let (lines, marker) = (Lines(), makeMarker())
            // What no window takes is in the pipe when the program ends.
            let run = Task {
                try await context.run("yes 0123456789 | head -c 252010; : \(marker)") { line in
                    lines.append(line)
                    for await _ in gate.stream {}
                }
            }
            await eventually { lines.texts.count == 1 && ProcessTable.carrying(marker).isEmpty }
            // Longer than who is left running may write still.
            let timeIsUp = ContinuousClock.now + .milliseconds(600)
            await eventually { ContinuousClock.now > timeIsUp }
            gate.continuation.finish()
            let result = try await run.value
            #expect(result.succeeded)
            #expect(lines.texts.count == 22_910)
        }
    }

    @Test func `A relay in front of a context that stands still keeps what its bound allows`() async throws {
        var options = OutputLog().options
        options.heartbeatLimit = .seconds(60)
        try await withLocalContext(options) { _, relay in
            let below = try await relay.connect(.local)
            let bytes = [UInt8](repeating: 7, count: 60_000)
            _ = try await below.call(Echo(value: bytes))
            let before = residentMemory(of: relay.processID)
            #expect(before > 0)
            kill(below.processID, SIGSTOP)
            defer { kill(below.processID, SIGCONT) }
            let count = 2_500  // 150 MB
            let ends = await withTaskGroup(of: String.self) { group in
                for _ in 0..<count {
                    group.addTask {
                        do {
                            let back = try await below.call(Echo(value: bytes))
                            return back == bytes ? "answered" : "wrong"
                        } catch {
                            return (error as? MartletError).map { "\($0.code.rawValue)" } ?? "\(error)"
                        }
                    }
                }
                // What is beyond the bound fails at once; then the rest goes on.
                var ends: [String: Int] = [:]
                var refused = 0
                while refused < 1_000, let end = await group.next() {
                    ends[end, default: 0] += 1
                    refused += 1
                }
                let grown = residentMemory(of: relay.processID) - before
                #expect(grown > 32 << 20 && grown < 120 << 20, "\(grown >> 20) MiB")
                #expect(ends == ["limitExceeded": 1_000])
                // The relay itself is well.
                _ = try? await relay.ping()
                kill(below.processID, SIGCONT)
                for await end in group { ends[end, default: 0] += 1 }
                return ends
            }
            #expect(Set(ends.keys) == ["answered", "limitExceeded"], "\(ends)")
            #expect(ends["answered"] ?? 0 > 900, "\(ends)")
            #expect(try await below.call(Add(a: 1, b: 2)) == 3)
        }
    }

    @Test func `2 GiB pass a reader without being kept`() async throws {
        try await withLocalContext { _, context in
            var options = CommandOptions()
            options.outputLimit = 1000
            _ = try await context.run("head -c 10000000 /dev/zero", options: options)
            let before = (residentMemory(of: getpid()), residentMemory(of: context.processID))
            var peak = (0, 0)
            let run = Task { [options] in
                try await context.run("head -c 2147483648 /dev/zero", options: options)
            }
            let watch = Task {
                var peak = (0, 0)
                while !Task.isCancelled {
                    peak.0 = max(peak.0, residentMemory(of: getpid()))
                    peak.1 = max(peak.1, residentMemory(of: context.processID))
                    try? await Task.sleep(for: .milliseconds(20))
                }
                return peak
            }
            let result = try await run.value
            watch.cancel()
            peak = await watch.value
            #expect(result.isTruncated)
            #expect(result.succeeded)
            #expect(peak.0 - before.0 < 64 << 20)
            #expect(peak.1 - before.1 < 64 << 20)
        }
    }

    @Test func `A flood of output stalls no call and no other command`() async throws {
        try await withLocalContext { _, context async throws in
            var options = CommandOptions()
            options.outputLimit = 1000
            let flood = Task { [options] in try await context.run("yes", options: options) }
            for number in 0..<100 {
                #expect(try await context.call(Add(a: number, b: 1), deadline: .seconds(10)) == number + 1)
            }
            #expect(try await context.run("echo through").lines == ["through"])
            flood.cancel()
            await #expect(throws: CancellationError.self) { try await flood.value }
        }
    }

    private static func bytesWritten(byProgram name: String, below pid: Int32) -> Int {
        guard let entry = ProcessTable.descendants(of: pid).first(where: { $0.name == name }),
            let text = try? String(contentsOfFile: "/proc/\(entry.pid)/io", encoding: .utf8)
        else { return 0 }
        let line = text.split(separator: "\n").first { $0.hasPrefix("wchar:") }
        return line?.split(separator: " ").last.flatMap { Int($0) } ?? 0
    }
}
