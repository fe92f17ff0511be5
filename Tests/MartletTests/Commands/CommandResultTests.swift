import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked) struct CommandResultTests {
    @Test func `Output and errors are kept apart and exact`() async throws {
        try await withLocalContext { _, context in
            let result = try await context.run("printf 'a\\r\\nb'; printf 'x\\n\\ny\\n' >&2")
            #expect(result.standardOutput == Array("a\r\nb".utf8))
            #expect(result.standardError == Array("x\n\ny\n".utf8))
            #expect(result.lines == ["a", "b"])
            #expect(result.succeeded)
            #expect(!result.isTruncated)
            #expect(result.route == context.route)
            #expect(result.command.hasPrefix("printf"))
        }
    }

    @Test func `Every byte value passes unchanged, in and out`() async throws {
        try await withLocalContext { _, context in
            let bytes = Array(0...255) + pattern(1_000_000)
            var options = CommandOptions()
            options.input = .bytes(bytes)
            #expect(try await context.run("cat", options: options).standardOutput == bytes)
            let all = try await context.run(executable: "cat", options: options) { _ in }
            #expect(all.standardOutput == bytes)
        }
    }

    @Test func `A last line without an end is a line, and five mebibytes of one line come whole`() async throws {
        try await withLocalContext { _, context in
            let lines = Lines()
            let result = try await context.run("printf 'one\\ntwo'", onLine: lines.append)
            #expect(lines.texts == ["one", "two"])
            #expect(result.text == "one\ntwo")
            let long = try await context.run("head -c 5242880 /dev/zero | tr '\\0' x", onLine: lines.append)
            #expect(long.standardOutput.count == 5 << 20)
            #expect(long.standardOutput == [UInt8](repeating: UInt8(ascii: "x"), count: 5 << 20))
            #expect(lines.texts.dropFirst(2).map(\.utf8.count).reduce(0, +) == 5 << 20)
        }
    }

    @Test func `Every exit code is told`() async throws {
        try await withLocalContext { _, context in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for code in Int32(0)...255 {
                    group.addTask {
                        let result = try await context.run("exit \(code)")
                        #expect(result.termination == .exited(code))
                        #expect(result.succeeded == (code == 0))
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test(arguments: ["HUP", "INT", "QUIT", "ABRT", "KILL", "SEGV", "PIPE", "TERM", "USR1"])
    func `A command that a signal ended says which`(name: String) async throws {
        try await withLocalContext { _, context in
            let result = try await context.run("ulimit -c 0; kill -\(name) $$; sleep 60")
            #expect(result.termination.signalName == name)
            #expect(!result.succeeded)
        }
    }

    @Test func `20,000 lines are 20,000 lines, in order`() async throws {
        try await withLocalContext { _, context in
            let lines = Lines()
            let result = try await context.run("seq 1 20000", onLine: lines.append)
            let expected = (1...20000).map(String.init)
            #expect(lines.texts == expected)
            #expect(result.lines == expected)
        }
    }

    @Test func `What is not UTF-8 disturbs nobody`() async throws {
        try await withLocalContext { _, context in
            let result = try await context.run("printf '\\377\\376ok\\n'")
            #expect(result.standardOutput == [0xff, 0xfe] + Array("ok\n".utf8))
            #expect(result.text.hasSuffix("ok\n"))
        }
    }

    @Test func `More output than is to be kept is read and counted off`() async throws {
        try await withLocalContext { _, context in
            var options = CommandOptions()
            options.outputLimit = 1000
            let lines = Lines()
            let result = try await context.run("seq 1 20000; echo err >&2", options: options, onLine: lines.append)
            #expect(result.isTruncated)
            #expect(result.standardOutput.count == 1000)
            #expect(result.standardError == Array("err\n".utf8))
            #expect(lines.texts.count == 20001)
            #expect(result.succeeded)
        }
    }

    @Test func `A capture of 64 MiB takes seconds, not minutes`() async throws {
        try await withLocalContext { _, context in
            var options = CommandOptions()
            options.outputLimit = 64 << 20
            let time = try await Duration.of {
                let result = try await context.run("head -c 67108864 /dev/zero", options: options)
                #expect(result.standardOutput.count == 64 << 20)
                #expect(!result.isTruncated)
            }
            #expect(time < .seconds(20))
        }
    }

    @Test func `Commands run one after another, or all at once, each with its own result`() async throws {
        try await withLocalContext { _, context in
            for number in 0..<4 { #expect(try await context.run("echo \(number)").lines == ["\(number)"]) }
            let results = try await withThrowingTaskGroup(of: (Int, CommandResult).self) { group in
                for number in 0..<100 {
                    group.addTask { (number, try await context.run("sleep 0.1; echo \(number); echo e\(number) >&2")) }
                }
                return try await group.reduce(into: [Int: CommandResult]()) { $0[$1.0] = $1.1 }
            }
            #expect(results.count == 100)
            for (number, result) in results {
                #expect(result.lines == ["\(number)"])
                #expect(result.errorText == "e\(number)\n")
            }
        }
    }

    @Test func `The result tells how long it took by the far clock`() async throws {
        try await withLocalContext { _, context in
            let result = try await context.run("sleep 0.2")
            #expect(result.duration >= .milliseconds(200) && result.duration < .seconds(10))
        }
    }

    @Test func `Commands over ssh and deeper do the same`() async throws {
        try await withSSHContext { context in
            let below = try await context.connect(.local)
            for target in [context, below] {
                var options = CommandOptions()
                options.input = .text("fed\n")
                options.environment["GREETING"] = "a b"
                let result = try await target.run("cat; echo \"$GREETING\"; echo err >&2; exit 123", options: options)
                #expect(result.lines == ["fed", "a b"])
                #expect(result.errorText == "err\n")
                #expect(result.termination == .exited(123))
                #expect(try await target.run("kill -9 $$").termination.signalName == "KILL")
            }
        }
    }
}
