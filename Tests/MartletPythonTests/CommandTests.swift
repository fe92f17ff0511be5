import Foundation
import Martlet
import MartletTestKit
import Synchronization
import Testing

@testable import MartletPython

/// Keeps the lines of one command.
final class CommandLines: Sendable {
    private let lines = Mutex<[String]>([])
    var texts: [String] { lines.withLock { $0 } }
    @Sendable func append(_ line: OutputLine) { lines.withLock { $0.append(line.text) } }
}

struct Enough: Error {}

/// A text for the arguments of programs, by which they are found.
func makeMarker() -> String { "86400.\(UInt32.random(in: 100_000_000...999_999_999))" }

func makePattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) } }

@Suite(.leakChecked) struct CommandTests {
    private func options(_ input: CommandInput = .none, limit: Int = 64 << 20) -> CommandOptions {
        var options = CommandOptions()
        options.input = input
        options.outputLimit = limit
        return options
    }

    @Test(arguments: Interpreters.all)
    func `Output, errors and codes are exact, and every byte passes`(interpreter: String) async throws {
        try await withPython(interpreter) { py async throws in
            let result = try await py.run("printf 'a\\r\\nb'; printf 'x\\n\\ny\\n' >&2; exit 3")
            #expect(result.standardOutput == Array("a\r\nb".utf8))
            #expect(result.standardError == Array("x\n\ny\n".utf8))
            #expect(result.termination == .exited(3))
            #expect(result.route == py.route)
            #expect(result.duration > .zero && result.duration < .seconds(60))
            #expect(try await py.run("cat; echo $?").text == "0\n")
            let bytes = Array(0...255) + makePattern(1_000_000)
            #expect(try await py.run("cat", options: options(.bytes(bytes))).standardOutput == bytes)
            let lines = CommandLines()
            #expect(try await py.run("printf 'one\\ntwo'", onLine: lines.append).text == "one\ntwo")
            #expect(lines.texts == ["one", "two"])
            for name in ["HUP", "QUIT", "KILL", "PIPE", "TERM", "CHLD"] {
                let result = try await py.run("ulimit -c 0; kill -\(name) $$; echo lived")
                #expect(name == "CHLD" ? result.succeeded : result.termination.signalName == name, "\(name)")
            }
            let cut = try await py.run("seq 1 20000; echo err >&2", options: options(limit: 1000), onLine: lines.append)
            #expect(cut.isTruncated && cut.standardOutput.count == 1000)
            #expect(lines.texts.count == 2 + 20001)
            #expect(try await py.status().running == 0)
        }
    }

    @Test(arguments: Interpreters.all)
    func `Variables, arguments and directories are passed exactly`(interpreter: String) async throws {
        try await withPython(interpreter) { py async throws in
            for value in ["a b", "'", "two\nlines\n", "$HOME `id` \\", "grüße 🐦", "", "*"] {
                var options = CommandOptions()
                options.environment["MARTLET_VALUE"] = value
                #expect(try await py.run("printf %s \"$MARTLET_VALUE\"", options: options).text == value)
                let result = try await py.run(executable: "printf", arguments: ["%s|%s", value, "end"])
                #expect(result.text == "\(value)|end")
            }
            var options = CommandOptions()
            options.environment["HOME"] = .some(nil)
            options.directory = "/tmp"
            options.nice = 5
            let result = try await py.run("env; pwd; nice", options: options)
            #expect(!result.lines.contains { $0.hasPrefix("HOME=") })
            #expect(!result.lines.contains { $0.hasPrefix("MARTLET_AGENT") || $0.hasPrefix("PYTHONIOENCODING") })
            #expect(result.lines.contains { $0.hasPrefix("PATH=") })
            #expect(result.lines.suffix(2).first == "/tmp")
            let own = try #require(Int(try await py.run("nice").lines.first ?? ""))
            #expect(result.lines.last == "\(min(own + 5, 19))")
            // What Python code makes of its environment and directory holds for programs.
            try await py.exec("import os\nos.environ['MARTLET_NEW'] = 'x'\nos.chdir('/usr')").finished()
            #expect(try await py.run("echo $MARTLET_NEW; pwd").lines == ["x", "/usr"])
        }
    }

    private func failure(
        _ py: PythonContext, _ executable: String, _ arguments: [String] = [], in folder: String? = nil
    ) async throws -> MartletError {
        var options = options(.bytes([UInt8](repeating: 1, count: 4 << 20)))
        options.directory = folder
        do { try await py.run(executable: executable, arguments: arguments, options: options) } catch {
            return try #require(error as? MartletError)
        }
        throw Enough()
    }

    @Test(arguments: Interpreters.all)
    func `What cannot be started is told by name and reason`(interpreter: String) async throws {
        try await withPython(interpreter) { py async throws in
            let missing = try await failure(py, "no-such-program-here")
            #expect(missing.message == "find no-such-program-here in PATH: No such file or directory")
            #expect(missing.code == .commandNotStarted && missing.route == py.route)
            #expect(try await failure(py, "/no/such").message == "run /no/such: No such file or directory")
            #expect(try await failure(py, "/tmp").message == "run /tmp: Permission denied")
            #expect(try await failure(py, "").message.hasPrefix("find a program without a name"))
            #expect(try await failure(py, "echo", ["a\0b"]).message.contains("NUL"))
            let folder = try await failure(py, "true", in: "/no/such place")
            #expect(folder.message == "enter the directory /no/such place: No such file or directory")
            #expect(folder.advice != nil)
            #expect(try await py.run("echo next").lines == ["next"])
        }
    }

    @Test(arguments: Interpreters.all)
    func `A program that does not read its input does not hang`(interpreter: String) async throws {
        try await withPython(interpreter) { py async throws in
            let input = CommandInput.bytes([UInt8](repeating: 1, count: 16 << 20))
            #expect(try await py.run("exit 3", options: options(input)).termination == .exited(3))
            #expect(try await py.run("exec <&-; sleep 0.2", options: options(input)).succeeded)
            #expect(try await py.run("echo next").lines == ["next"])
            let (stream, feed) = AsyncThrowingStream<[UInt8], any Error>.makeStream()
            let lines = CommandLines()
            let command = Task {
                try await py.run(
                    "while read -r line; do echo got $line; done", options: options(.chunks(stream)),
                    onLine: lines.append)
            }
            for word in ["one", "two"] {
                feed.yield(Array("\(word)\n".utf8))
                await eventually { lines.texts.last == "got \(word)" }
            }
            feed.finish()
            #expect(try await command.value.succeeded)
        }
    }

    @Test func `32 MiB through cat and back come whole, and hundreds of commands each have their own result`()
        async throws
    {
        try await withPython { py async throws in
            let bytes = makePattern(32 << 20)
            #expect(try await py.run("cat", options: options(.bytes(bytes))).standardOutput == bytes)
            try await withThrowingTaskGroup(of: String?.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let result = try await py.run("echo \(number); echo e\(number) >&2; exit \(number)")
                        let isRight =
                            result.text == "\(number)\n" && result.errorText == "e\(number)\n"
                            && result.termination == .exited(Int32(number))
                        return isRight ? nil : "\(number): \(result)"
                    }
                }
                for try await wrong in group { #expect(wrong == nil) }
            }
            #expect(try await py.status().running == 0)
        }
    }

    @Test func `A time limit of months is none, and harms no other command`() async throws {
        try await withPython { py async throws in
            var months = CommandOptions()
            months.timeout = .seconds(86_400 * 45)
            #expect(try await py.run("sleep 0.3; echo x", options: months).text == "x\n")
            #expect(try await py.run("echo y").text == "y\n")
        }
    }

    @Test func `Python code that waits for any child takes no program's status, and meets none`() async throws {
        try await withPython { py async throws in
            let waiting = py.exec(
                """
                import os, signal, time
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
                alone = False
                try:
                    os.wait()
                except OSError:
                    alone = True
                channel.send(alone)
                while True:
                    try:
                        os.waitpid(-1, os.WNOHANG)
                    except OSError:
                        pass
                    time.sleep(0.001)
                """)
            #expect(try await waiting.receive() == true)
            let codes = try await withThrowingTaskGroup(of: Termination.self) { group in
                for _ in 0..<50 { group.addTask { try await py.run("exit 7").termination } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(codes == [Termination](repeating: .exited(7), count: 50))
        }
    }

    @Test func `Commands run while every thread of Python's is held`() async throws {
        try await withPython { py async throws in
            let held = (0..<70).map { _ in py.exec("import time\ntime.sleep(600)") }
            _ = try await py.ping()
            // The operations are loaded before.
            #expect(held.count == 70)
            let other = try await withTimeLimit { try await py.run("echo through").lines }
            #expect(other == ["through"])
        }
    }
}

/// A call with a limit of its own.
func withTimeLimit<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value? {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try? await Task.sleep(for: .seconds(30))
            return nil
        }
        defer { group.cancelAll() }
        return try await group.next() ?? nil
    }
}
