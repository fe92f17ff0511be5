import CMartlet
import Glibc
import MartletTestKit
import Synchronization
import Testing

@testable import MartletReactor

@Suite("Starting programs", .guardStarted, .nothingLeft, .timeLimit(.minutes(2)))
struct SpawnTests {
    @Test(arguments: [true, false]) func `Every exit code comes back`(usingProcessDescriptor: Bool) async throws {
        try await withReactor { reactor in
            for code in stride(from: 0, through: 255, by: usingProcessDescriptor ? 1 : 51) {
                let result = try await run(on: reactor, usingProcessDescriptor: usingProcessDescriptor) {
                    shell("exit \(code)", output: $0)
                }
                #expect(result.status == .exited(Int32(code)))
            }
        }
    }

    @Test(arguments: [SIGTERM, SIGKILL, SIGHUP, SIGUSR1, SIGPIPE, SIGSEGV])
    func `The signal that ended a program comes back`(signal: Int32) async throws {
        try await withReactor { reactor in
            let result = try await run(on: reactor) { shell("ulimit -c 0; kill -\(signal) $$", output: $0) }
            #expect(result.status == .signalled(signal))
        }
    }

    @Test func `A failed start names the step`() async throws {
        try await withReactor { reactor in
            func failure(_ request: SpawnRequest) -> SystemError? {
                #expect(throws: SystemError.self) { try ChildProcess.spawn(request, reactor: reactor) { _ in } }
            }
            #expect(failure(request("/no/such"))?.description == "run /no/such: No such file or directory")
            #expect(failure(request("/etc/passwd"))?.description == "run /etc/passwd: Permission denied")
            let lost = failure(request("/bin/true", directory: "/no/where"))
            #expect(lost?.description == "enter the directory /no/where: No such file or directory")
            var bad = request("/bin/true")
            bad.descriptors.1 = 9999
            #expect(failure(bad)?.description == "hand descriptors to /bin/true: Bad file descriptor")
            #expect(failure(request("/bin/true", ["a\0b"]))?.errno == EINVAL)
            #expect(failure(request("/bin/echo", [String(repeating: "x", count: 3_000_000)]))?.errno == E2BIG)
        }
    }

    @Test func `Arguments and environment arrive byte by byte`() async throws {
        let odd = ["", " ", "a b", "line\nbreak", "\ttab", "ünïcödé 🐦", "'one' \"two\"", "$HOME * \\", "-n", "--"]
        let environment = ["A=1", "EMPTY=", "SPACES=a  b", "NEWLINE=x\ny", "UTF8=ß", "EQUALS=a=b"]
        try await withReactor { reactor in
            let arguments = try await run(on: reactor) { output in
                request("/usr/bin/printf", ["%s\\0"] + odd, output: output)
            }
            #expect(arguments.output == odd.map { $0 + "\0" }.joined())
            let variables = try await run(on: reactor) { output in
                request("/usr/bin/env", ["-0"], environment: environment, output: output)
            }
            #expect(variables.output == environment.map { $0 + "\0" }.joined())
            let none = try await run(on: reactor) { request("/usr/bin/env", environment: [], output: $0) }
            #expect(none.output == "")
        }
    }

    @Test func `A program gets its three descriptors and none of ours`() async throws {
        try await withReactor { reactor in
            // What user code may have: without close-on-exec, with a high number.
            let leaks = [dup(nowhere), fcntl(nowhere, F_DUPFD, 200)]
            defer { leaks.forEach { _ = close($0) } }
            let result = try await run(on: reactor) { output in
                let script = "for fd in /proc/$$/fd/*; do printf '%s ' ${fd##*/}; readlink $fd; done"
                var request = shell(script, output: output)
                request.descriptors = (nowhere, output, nowhere)
                return request
            }
            // The shell reads the directory by a descriptor of its own, which is gone when its turn comes.
            let lines = result.output.split(separator: "\n").map { $0.split(separator: " ") }.filter { $0.count == 2 }
            #expect(lines.map(\.first) == ["0", "1", "2"])
            #expect(lines.first?.last == "/dev/null")
            #expect(lines.dropFirst().first?.last?.hasPrefix("pipe:") == true)
        }
    }

    @Test func `Descriptors may be any permutation of the caller's own three`() async throws {
        try await withReactor { reactor in
            let result = try await run(on: reactor) { output in
                var request = shell("echo out; echo err >&2", output: output)
                request.descriptors = (output, output, output)
                return request
            }
            #expect(result.output == "out\nerr\n")
        }
    }

    @Test func `A program leads a group of its own, with a session if asked for`() async throws {
        try await withReactor { reactor in
            for newSession in [false, true] {
                // pid, group, session, terminal
                let result = try await run(on: reactor) { output in
                    shell("cut -d' ' -f1,5,6,7 /proc/$$/stat; :", output: output, newSession: newSession)
                }
                let fields = result.output.split(whereSeparator: \.isWhitespace).compactMap { Int32($0) }
                try #require(fields.count == 4)
                #expect(fields[1] == fields[0])
                #expect(fields[2] == (newSession ? fields[0] : getsid(0)))
                if newSession { #expect(fields[3] == 0) }
            }
        }
    }

    @Test func `Directory and nice level are as asked for`() async throws {
        try await withReactor { reactor in
            let directory = try await run(on: reactor) { request("/bin/pwd", directory: "/usr/bin/..", output: $0) }
            #expect(directory.output == "/usr\n")
            let level = getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)
            let nice = try await run(on: reactor) { shell("nice", output: $0, nice: 5) }
            #expect(nice.output == "\(min(19, level + 5))\n")
        }
    }

    @Test func `A program starts with no signal blocked, and with SIGPIPE as the system has it`() async throws {
        // As a library or `withMartlet` may have set it.
        let before = signal(SIGPIPE, SIG_IGN)
        defer { signal(SIGPIPE, before) }
        try await withReactor { reactor in
            // From a thread of the reactor, where nearly all are blocked.
            let result = try await Task(executorPreference: reactor) {
                try await run(on: reactor) { shell("grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status", output: $0) }
            }.value
            let masks = result.output.split(separator: "\n").compactMap {
                $0.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) }
            }
            try #require(masks.count == 3)
            #expect(masks[0] == 0)
            #expect(masks[1] & (1 << UInt64(SIGPIPE - 1)) == 0)
        }
    }

    @Test func `A failed start leaves no process and no place in the guard's table`() async throws {
        try await withReactor { reactor in
            for _ in 0..<(Int(MARTLET_GUARD_SLOTS) + 10) {
                do throws(SystemError) {
                    _ = try ChildProcess.spawn(request("/no/such"), reactor: reactor) { _ in }
                } catch {
                    guard error.errno == ENOENT else {
                        Issue.record(error)
                        return
                    }
                }
            }
        }
    }
}
