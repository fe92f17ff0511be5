import Foundation
import MartletTestKit
import Testing

@Suite(.leakChecked) struct RunTests {
    @Test func `Twelve hosts each have their own result`() async throws {
        let hosts = Array(repeating: "local", count: 12).joined(separator: ",")
        let result = try await MartletProgram.run(["run", "-H", hosts, "--json", "--", "echo $$; exit $(($$ % 2))"])
        let events = try jsonLines(result.output)
        var numbers: [Int: Int] = [:]
        for event in events where event["event"] as? String == "line" {
            numbers[try #require(event["index"] as? Int)] = Int(try #require(event["text"] as? String))
        }
        let results = events.filter { $0["event"] as? String == "result" }
        #expect(Set(results.compactMap { $0["index"] as? Int }) == Set(0..<12))
        #expect(Set(numbers.values).count == 12)
        // Each command says its own number and exits with a code made of it.
        for event in results {
            let index = try #require(event["index"] as? Int)
            #expect(event["exit"] as? Int == (try #require(numbers[index])) % 2)
        }
        #expect(events.last?["event"] as? String == "summary")
        #expect(events.last?["hosts"] as? Int == 12)
    }

    @Test func `Hosts' own Python runs commands as the agent does, and tells the same facts`() async throws {
        let run = try await MartletProgram.run([
            "run", "--runtime", "python", "-H", "local", "--json", "--", "cat /proc/$PPID/comm; exit 3",
        ])
        let events = try jsonLines(run.output)
        #expect(events.first { $0["event"] as? String == "line" }?["text"] as? String == "martlet: guard")
        #expect(events.first { $0["event"] as? String == "result" }?["exit"] as? Int == 3)
        let words = try await MartletProgram.run(
            [
                "run", "--runtime", "python:python3", "-H", "local/local", "--no-prefix", "--", "printf", "<%s>\\n",
                "a b",
            ])
        #expect(words.output == "<a b>\n", "\(words.errors)")
        let none = try await MartletProgram.run(
            ["run", "--runtime", "python:/nowhere/python", "-H", "local", "--", "true"])
        #expect(none.exitCode == 3)
        #expect(none.errors.contains("/nowhere/python: absent"))
        #expect(try await MartletProgram.run(["run", "--runtime", "perl", "-H", "local", "--", "true"]).exitCode == 64)
        let facts = try await MartletProgram.run(["facts", "-H", "local", "--json"])
        let ofPython = try await MartletProgram.run(["facts", "--runtime", "python", "-H", "local", "--json"])
        #expect(ofPython.exitCode == 0)
        for key in ["hostname", "release", "memory", "user", "distribution"] {
            let (native, python) = (try jsonLines(facts.output)[0][key], try jsonLines(ofPython.output)[0][key])
            #expect("\(native ?? 0)" == "\(python ?? 1)", "\(key)")
        }
    }

    @Test func `A host that is named twice runs twice`() async throws {
        let result = try await MartletProgram.run(["run", "-H", "local,local", "--", "echo", "hello"])
        #expect(result.exitCode == 0)
        #expect(result.outputLines.sorted() == ["local#1: hello", "local#2: hello"])
        #expect(result.errors.hasPrefix("2 hosts: 2 succeeded in "))
    }

    @Test func `Fanout bounds how many run at once`() async throws {
        let result = try await MartletProgram.shell(
            #"d=$(mktemp -d); "$martlet" run -q -H local,local,local,local --fanout 1 -- "mkdir $d/one && sleep 0.1 && rmdir $d/one""#
                + #"; s=$?; rm -rf "$d"; exit $s"#)
        #expect(result.exitCode == 0, "\(result.errors)")
    }

    @Test func `Several words arrive as they are`() async throws {
        let words = ["printf", "<%s>\\n", "a b", "$HOME", "it's", "", "*", "-x", "--"]
        let result = try await MartletProgram.run(["run", "-H", "local", "--no-prefix", "--"] + words)
        #expect(result.outputLines == ["<a b>", "<$HOME>", "<it's>", "<>", "<*>", "<-x>", "<-->"])
    }

    @Test func `Options end where the command begins`() async throws {
        let result = try await MartletProgram.run([
            "run", "-H", "local", "--no-prefix", "echo", "-n", "--json", "-H", "x",
        ])
        #expect(result.output == "--json -H x")
    }

    @Test func `Lines of both outputs go to the same outputs here`() async throws {
        let result = try await MartletProgram.run(["run", "-H", "local", "--", "echo out; echo err >&2"])
        #expect(result.output == "local: out\n")
        #expect(result.errors == "local: err\n")
    }

    @Test func `Bytes pass unchanged where there is no terminal`() async throws {
        let result = try await MartletProgram.shell(
            #""$martlet" run -H local --no-prefix -- 'printf "\377\033[31m\001\n"' | od -An -tx1"#)
        #expect(
            result.output.split(separator: " ").map { $0.trimmingCharacters(in: .newlines) }
                == ["ff", "1b", "5b", "33", "31", "6d", "01", "0a"])
    }

    @Test(arguments: [
        "head -c 300000 /dev/zero", "seq 1 100000 | tr '\\n' ' '", "printf 'a\\r\\nb\\rc\\n\\r\\n\\nd\\r'",
    ])
    func `One host's output without a prefix is byte for byte the command's`(command: String) async throws {
        let result = try await MartletProgram.shell(
            #"d=$(mktemp -d); sh -c "$command" >"$d/a"; "$martlet" run -H local --no-prefix -- "$command" >"$d/b"; "#
                + #""$martlet" run -H local --no-prefix -- "$command >&2" 2>"$d/c"; "#
                + #"cmp "$d/a" "$d/b" && cmp "$d/a" "$d/c"; s=$?; rm -rf "$d"; exit $s"#,
            environment: ["command": command])
        #expect(result.exitCode == 0, "\(result.output)\(result.errors)")
    }

    @Test func `What is not UTF-8 is base64 in JSON`() async throws {
        let result = try await MartletProgram.run(["run", "-H", "local", "--json", "--", #"printf '\377x\n\300'"#])
        let lines = try jsonLines(result.output).filter { $0["event"] as? String == "line" }
        #expect(lines.compactMap { $0["base64"] as? String } == ["/3g=", "wA=="])
        #expect(lines.allSatisfy { $0["text"] == nil })
    }

    @Test func `Variables and the directory are set`() async throws {
        let result = try await MartletProgram.run(
            [
                "run", "-H", "local", "--no-prefix", "--env", "A=x=y z", "--env", "B=", "--dir", "/usr", "--",
                "echo \"$A,$B,$(pwd)\"",
            ])
        #expect(result.output == "x=y z,,/usr\n")
    }

    @Test func `Standard input goes to every host`() async throws {
        for hosts in ["local", "local,local,local"] {
            let result = try await MartletProgram.run(
                ["run", "-H", hosts, "--stdin", "--no-prefix", "-q", "--", "wc -c"],
                input: String(repeating: "x", count: 300_000))
            #expect(Set(result.outputLines) == ["300000"])
            #expect(result.outputLines.count == hosts.split(separator: ",").count)
        }
        let piped = try await MartletProgram.shell(
            #"seq 1 100000 | "$martlet" run -H local --stdin --no-prefix -- tail -n 1"#)
        #expect(piped.output == "100000\n")
    }

    @Test func `A command that does not read ends though input never does`() async throws {
        let result = try await MartletProgram.shell(
            #"mkfifo_dir=$(mktemp -d); mkfifo "$mkfifo_dir/p"; exec 3<>"$mkfifo_dir/p"; "#
                + #""$martlet" run -H local --stdin --no-prefix -- echo done <&3; rm -rf "$mkfifo_dir""#,
            within: .seconds(20))
        #expect(result.output == "done\n")
    }

    @Test func `Without --stdin a command reads nothing`() async throws {
        let result = try await MartletProgram.run(["run", "-H", "local", "--no-prefix", "--", "wc -c"], input: "xyz")
        #expect(result.output == "0\n")
    }

    @Test func `Hosts come from a file too`() async throws {
        let result = try await MartletProgram.run(
            ["run", "--hosts-file", "-", "-H", "local", "-q", "--", "echo x"],
            input: "# a comment\nlocal\n\n  local  # another\n")
        #expect(result.outputLines.sorted() == ["local#1: x", "local#2: x", "local#3: x"])
    }

    @Test func `Many lines from many hosts arrive whole and in order`() async throws {
        let hosts = Array(repeating: "local", count: 10).joined(separator: ",")
        let result = try await MartletProgram.run(["run", "-q", "-H", hosts, "--", "seq 1 5000"])
        var next: [Substring: Int] = [:]
        for line in result.output.split(separator: "\n") {
            let parts = line.split(separator: " ")
            next[parts[0], default: 0] += 1
            #expect(Int(parts[1]) == next[parts[0]])
        }
        #expect(next.count == 10)
        #expect(next.values.allSatisfy { $0 == 5000 })
    }
}
