import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked) struct CommandSettingTests {
    @Test(arguments: [
        "a b", "a; echo pwned", "'", "\"", "two\nlines\n", "$HOME `id` $(id) \\", "grüße 🐦", "", "a=b", "*", " ", "-n",
    ])
    func `A variable's value is passed exactly`(value: String) async throws {
        try await withLocalContext { _, context in
            var options = CommandOptions()
            options.environment["MARTLET_VALUE"] = value
            let result = try await context.run("printf %s \"$MARTLET_VALUE\"", options: options)
            #expect(result.text == value)
            let direct = try await context.run(executable: "printenv", arguments: ["MARTLET_VALUE"], options: options)
            #expect(direct.text == value + "\n")
        }
    }

    @Test func `A variable can be removed, the others stay, and nothing of the bootstrap is left`() async throws {
        try await withLocalContext { _, context in
            var options = CommandOptions()
            options.environment["HOME"] = .some(nil)
            let result = try await context.run("env", options: options)
            #expect(!result.lines.contains { $0.hasPrefix("HOME=") })
            #expect(result.lines.contains { $0.hasPrefix("PATH=") })
            #expect(!result.lines.contains { $0.hasPrefix("MARTLET_AGENT") || $0.hasPrefix("MARTLET_REMOVE") })
            #expect(!result.lines.contains { $0.hasPrefix("SWIFT_ROOT") })
        }
    }

    @Test(arguments: ["a b", "'", "--", "", "$x", "new\nline", "🐦"])
    func `An argument is passed exactly`(argument: String) async throws {
        try await withLocalContext { _, context in
            let result = try await context.run(executable: "printf", arguments: ["%s|%s", argument, "end"])
            #expect(result.text == "\(argument)|end")
        }
    }

    @Test func `A command runs where it is told to, also where the name has spaces`() async throws {
        try await TestFolder.with { scratch in
            try await withLocalContext { _, context in
                let folder = scratch.file("with some spaces; and 'quotes'")
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                var options = CommandOptions()
                options.directory = folder
                #expect(try await context.run("pwd -P", options: options).lines.first?.hasSuffix("'quotes'") == true)
                options.directory = "/tmp"
                #expect(try await context.run("pwd", options: options).lines == ["/tmp"])
                // A relative program is looked for there.
                let script = "\(folder)/tool"
                try "#!/bin/sh\necho tool\n".write(toFile: script, atomically: true, encoding: .utf8)
                chmod(script, 0o700)
                options.directory = folder
                #expect(try await context.run(executable: "./tool", options: options).lines == ["tool"])
            }
        }
    }

    @Test func `A missing directory is told by name`() async throws {
        try await withLocalContext { _, context in
            var options = CommandOptions()
            options.directory = "/no/such place"
            let error = try await expectError(.commandNotStarted) { try await context.run("true", options: options) }
            #expect(error.message.contains("/no/such place"))
            #expect(error.route == context.route)
        }
    }

    @Test func `A program that cannot be started is told by name and reason`() async throws {
        try await TestFolder.with { scratch in
            try await withLocalContext { _, context in
                let missing = try await expectError(.commandNotStarted) {
                    try await context.run(executable: "no-such-program-here")
                }
                #expect(missing.message.contains("no-such-program-here"))
                #expect(missing.message.contains("PATH"))
                let path = try await expectError(.commandNotStarted) {
                    try await context.run(executable: "/no/such/program")
                }
                #expect(path.message.contains("/no/such/program"))
                let file = scratch.file("plain")
                scratch.touch("plain")
                let plain = try await expectError(.commandNotStarted) { try await context.run(executable: file) }
                #expect(plain.message.contains(file))
                #expect(plain.message.lowercased().contains("permission"))
                try await expectError(.commandNotStarted) { try await context.run(executable: "") }
                try await expectError(.commandNotStarted) {
                    try await context.run(executable: "echo", arguments: ["a\0b"])
                }
                try await expectError(.commandNotStarted) { try await context.run(executable: "/tmp") }
            }
        }
    }

    @Test func `A command line that is too long is refused before it is sent`() async throws {
        try await withLocalContext { _, context in
            let error = try await expectError(.limitExceeded) {
                try await context.run("true " + String(repeating: "x", count: 70_000))
            }
            #expect(error.advice != nil)
        }
    }

    @Test func `A command may be nicer than its context`() async throws {
        try await withLocalContext { _, context in
            let own = try #require(Int(try await context.run("nice").lines.first ?? ""))
            var options = CommandOptions()
            options.nice = 5
            #expect(try await context.run("nice", options: options).lines == ["\(min(own + 5, 19))"])
        }
    }
}
