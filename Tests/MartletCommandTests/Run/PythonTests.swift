import Foundation
import MartletTestKit
import Testing

@testable import MartletCommand
@testable import MartletPython

/// `martlet python`.
@Suite(.leakChecked) struct PythonTests {
    /// Runs a line of shell in a folder with the files, where `$m` is `martlet python -H local`.
    private func inFolder(_ files: [String: String], _ line: String) async throws -> ProgramResult {
        let folder = FileManager.default.temporaryDirectory.appending(path: MartletProgram.marker())
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
        return try await MartletProgram.shell("cd '\(folder.path)' && m=\"$martlet python -H local\" && \(line)")
    }

    private static let files = [
        "tools.py": """
        def double(x, by=2): return x * by
        def shape(): return {"b": b"\\xff", "a": (1, None, 2.5)}
        def boom(): raise RuntimeError("it is gone")
        def talk():
            print("first")
            return "last"
        """,
        "deploy.py": """
        import sys, tools
        def install(name): return "installed " + name
        if __name__ == "__main__":
            print("run %s %d" % (sys.argv[1:], tools.double(2)))
            sys.exit(4)
        """,
    ]

    @Test func `A function of a module here is called there, with its arguments as they are meant`() async throws {
        let result = try await inFolder(
            Self.files,
            "$m tools:double 21; $m tools:double '\"8\"' by=3; $m tools:double ab; $m tools.double [1]; $m tools:shape; "
                + "$m os.path:join a b; $m time:sleep 0")
        #expect(
            result.outputLines == [
                "local: 42", "local: 888", "local: abab", "local: [1, 1]",
                #"local: {'a': (1, None, 2.5), 'b': b'\xff'}"#, "local: a/b",
            ], "\(result.errors)")
        #expect(result.errors.isEmpty && result.exitCode == 0)
    }

    @Test func `A script runs there, and its functions can be called`() async throws {
        let result = try await inFolder(
            Self.files,
            "$m deploy.py one two; echo $?; $m deploy.py:install nginx; echo $?; cd /; $m \"$OLDPWD/deploy.py\"")
        #expect(
            result.outputLines == [
                "local: run ['one', 'two'] 4", "1", "local: installed nginx", "0", "local: run [] 4",
            ])
        #expect(result.errors.contains("exit code 4"))
    }

    @Test func `Source runs there; what it prints stands before what is returned`() async throws {
        let result = try await inFolder(
            Self.files,
            "$m -c 'import tools; print(tools.double(3)); channel.send([1, \"x\"])'; $m tools:talk; "
                + "$m --no-prefix -c 'import sys; sys.stdout.write(\"no end\")'")
        #expect(
            result.outputLines.sorted() == ["local: 6", "local: [1, 'x']", "local: first", "local: last", "no end"])
        #expect(result.outputLines.firstIndex(of: "local: first")! < result.outputLines.firstIndex(of: "local: last")!)
    }

    @Test func `What goes wrong is told with the traceback, and what to try`() async throws {
        let result = try await inFolder(Self.files, "$m tools:boom; echo $?; $m no_such_module:f; echo $?")
        #expect(result.outputLines == ["1", "1"])
        #expect(result.errors.contains("local: RuntimeError: it is gone"))
        #expect(result.errors.contains("tools.py\", line 3, in boom"))
        #expect(result.errors.contains("No module named 'no_such_module'"))
        #expect(result.errors.contains("try: it is neither installed on"))
    }

    @Test func `Time is up, the interpreter is missing, a host is unreachable: each has its words and status`()
        async throws
    {
        let result = try await inFolder(
            Self.files,
            "$m --timeout 1 -c 'while True: pass'; echo $?; $m --python python9 tools:talk; echo $?; "
                + "$martlet python -H local,unix:/nowhere/at/all tools:double 1; echo $?")
        #expect(
            result.outputLines.filter { !$0.contains(":") } == ["1", "3", "3"], "\(result.output) \(result.errors)")
        #expect(result.errors.contains("timed out after"))
        #expect(result.errors.contains("python9"))
    }

    @Test func `Wrong usage says what is right`() async throws {
        for (arguments, word) in [
            ([], "name what to run"), (["none.py"], "there is no script none.py"), (["-c", "1", "x"], "-c takes no"),
            (["a/b"], "neither a function"), (["f:g", "a=1", "2"], "stands behind NAME=VALUE"),
            (["f:g", "a=1", "a=2"], "given twice"),
        ] {
            let result = try await MartletProgram.run(["python", "-H", "local"] + arguments)
            #expect(result.exitCode == 64 && result.errors.contains(word), "\(arguments): \(result.errors)")
        }
    }

    @Test func `Machines get one object a line`() async throws {
        let result = try await inFolder(Self.files, "$m --json tools:shape; $m --json tools:talk; $m --json tools:boom")
        let objects = try jsonLines(result.output)
        let values = objects.filter { $0["event"] as? String == "item" }
        #expect(values.count == 2)
        let shape = try #require(values[0]["value"] as? [String: Any])
        #expect((shape["b"] as? [String: String]) == ["base64": "/w=="])
        #expect(values[1]["value"] as? String == "last")
        #expect(objects.contains { $0["event"] as? String == "line" && $0["text"] as? String == "first" })
        #expect(objects.contains { $0["event"] as? String == "result" && $0["exit"] as? Int == 1 })
    }

    @Test func `Literals are Python's and JSON's, and else text`() {
        let cases: [(String, PythonValue)] = [
            ("8", 8), ("-2", -2), ("2.5", 2.5), ("1e3", 1000.0), ("null", PythonValue.none), ("None", PythonValue.none),
            ("true", true), ("False", false), ("\"8\"", "8"), ("'a b'", "a b"), ("[1, [2]]", [1, [2]]), ("[]", []),
            ("(1, 2)", .tuple([1, 2])), ("{\"a\": 1, 'b': null}", ["a": 1, "b": PythonValue.none]), ("{}", [:]),
            ("007", "007"), ("1.2.3", "1.2.3"), ("1-2", "1-2"), ("[1", "[1"), ("", ""), ("nginx", "nginx"),
            ("12345678901234567890", .integer(PythonInteger("12345678901234567890")!)), ("\"\\u00e4\\n\"", "ä\n"),
            ("True story", "True story"), ("-", "-"), ("1_000", "1_000"),
        ]
        for (text, value) in cases { #expect(PythonLiteral.value(of: text) == value, "\(text)") }
        let deep = String(repeating: "[", count: 100)
        #expect(PythonLiteral.value(of: deep) == .str(deep))
    }

    @Test func `Values are written as Python writes them`() async throws {
        let texts = [
            "None", "True", "-3", "2.5", "1e+22", "'it'", "\"it's\"", "'a\\n\\\\'", "b'\\x00a'", "(1,)", "[1, [2]]",
            "{'a': 1}", "set()", "{1, 2}", "frozenset({1})", "nan", "12345678901234567890",
        ]
        for text in texts {
            let result = try await runProgram(
                [
                    MartletProgram.path, "python", "-H", "local", "-c",
                    "channel.send([eval(\(PythonValue.str("\(text)").python), {'nan': float('nan')})])",
                ],
                within: .seconds(60))
            #expect(result.outputLines == ["local: [\(text)]"], "\(result.errors)")
        }
    }
}
