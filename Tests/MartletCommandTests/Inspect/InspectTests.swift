import Foundation
import MartletTestKit
import Testing

@Suite(.leakChecked) struct InspectTests {
    @Test func `ping tells times of each host`() async throws {
        let text = try await MartletProgram.run(["ping", "-H", "local,local", "--count", "3"])
        #expect(text.exitCode == 0)
        #expect(text.outputLines.count == 2)
        #expect(text.outputLines.allSatisfy { $0.contains("round trip min ") && $0.contains("median") })
        let json = try jsonLines(try await MartletProgram.run(["ping", "-H", "local", "--json"]).output)
        let (least, median, most) = (json[0]["min"] as? Double, json[0]["median"] as? Double, json[0]["max"] as? Double)
        #expect(try #require(least) <= (try #require(median)))
        #expect(try #require(median) <= (try #require(most)))
    }

    @Test func `facts tell what a machine is`() async throws {
        let text = try await MartletProgram.run(["facts", "-H", "local"])
        #expect(text.outputLines.count == 2)
        #expect(text.outputLines[0].hasPrefix("HOST "))
        let json = try jsonLines(try await MartletProgram.run(["facts", "-H", "local", "--json"]).output)
        #expect(json[0]["system"] as? String == "Linux")
        #expect(json[0]["processors"] as? Int == ProcessInfo.processInfo.processorCount)
        #expect(json[0]["user"] as? String == NSUserName())
    }

    @Test func `doctor finds a local context fine`() async throws {
        let result = try await MartletProgram.run(["doctor", "local"])
        #expect(result.exitCode == 0)
        for step in ["agent", "queue", "handshake", "facts", "round trip", "typed call", "command", "close"] {
            #expect(result.output.contains("  ok     \(step)"))
        }
        #expect(result.output.contains("local is fine"))
    }

    @Test func `clean removes images and nothing else`() async throws {
        let home = try #require(FileManager.default.temporaryDirectory.path as String?) + "/" + MartletProgram.marker()
        defer { try? FileManager.default.removeItem(atPath: home) }
        let result = try await MartletProgram.shell(
            """
            set -e
            d="$XDG_CACHE_HOME/martlet"
            mkdir -p "$d/0123abcd" "$d/.martlet-00"
            printf 12345 >"$d/4075572a04aa-x86_64"; printf 123 >"$d/0123abcd/image"; printf 1 >"$d/lib-9f"
            echo mine >"$d/notes of mine"; echo other >"$d/deadbeefs"; ln -s /etc/passwd "$d/abc"
            "$martlet" clean local
            ls -A "$d"
            """,
            environment: ["XDG_CACHE_HOME": "\(home)/with blanks"])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(
            result.outputLines == [
                "local: removed 3 files, 9 B in \(home)/with blanks/martlet; left 3 entries that martlet did not make",
                ".martlet-00", "abc", "deadbeefs", "notes of mine",
            ])
    }

    @Test func `clean says when there is nothing`() async throws {
        let result = try await MartletProgram.run(
            ["clean", "local"], environment: ["XDG_CACHE_HOME": "/tmp/\(MartletProgram.marker())"])
        #expect(result.exitCode == 0)
        #expect(result.output.hasPrefix("local: nothing to remove in "))
    }

    @Test func `The version and help are told`() async throws {
        #expect(try await MartletProgram.run(["--version"]).output.hasPrefix("martlet "))
        for command in ["run", "ping", "facts", "doctor", "clean", "demo"] {
            let help = try await MartletProgram.run([command, "--help"])
            #expect(help.exitCode == 0)
            #expect(help.output.contains("USAGE: martlet \(command)"))
        }
    }

    @Test(arguments: ["bash", "zsh", "fish"]) func `Shells complete commands and options`(_ shell: String) async throws
    {
        let script = try await MartletProgram.run(["--generate-completion-script", shell])
        #expect(script.exitCode == 0, "\(script.errors)")
        for word in ["connect-timeout", "max-failures", "rerun", "no-journal", "journal"] {
            #expect(script.output.contains(word), "\(word)")
        }
        guard ["/bin", "/usr/bin"].contains(where: { FileManager.default.isExecutableFile(atPath: "\($0)/\(shell)") })
        else { return }
        let check = try await runProgram([shell, "-n", "/dev/stdin"], input: script.output)
        #expect(check.exitCode == 0 && check.errors == "", "\(check.errors)")
    }
}
