import Foundation
import Martlet
import MartletTestKit
import MartletWire
import Testing

@testable import MartletPython

@Suite(.leakChecked) struct ProgramTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    @Test func `What is sent is what the repository has`() async throws {
        let packer = try await runProgram(["python3", "\(Self.root)/bin/pack-python", "--print"], within: .seconds(60))
        #expect(packer.exitCode == 0, "\(packer.errors)")
        let script =
            "import sys,zlib,base64;[sys.stdout.write(zlib.decompress(base64.b64decode(part)).decode())"
            + " for part in sys.stdin.read().split()]"
        let sent = try await runProgram(
            ["python3", "-c", script],
            input:
                "\(RuntimeProgram.plain)\n\(RuntimeProgram.withModules)\n\(RuntimeProgram.operations)\n\(RuntimeProgram.resources)",
            within: .seconds(60))
        let isSame = sent.output == packer.output
        #expect(isSame, "run bin/pack-python")
        #expect(sent.output.contains(RuntimeProgram.build))
    }

    @Test func `It is at most 12 KB`() {
        let withModules = PythonRuntime.programWithModules.count
        print("the Python runtime: \(PythonRuntime.byteCount) bytes, with modules \(withModules)")
        #expect(PythonRuntime.byteCount <= 12 * 1024)
        #expect(withModules <= 12 * 1024)
        #expect(PythonRuntime.program.prefix(1) == [0x78])
    }

    @Test func `The far command line is at most 600 bytes that every login shell leaves alone`() throws {
        let longest = PythonRuntime(interpreters: [String(repeating: "x", count: 160)])
        for runtime in [PythonRuntime.python, .python("~/venv/bin/python"), longest] {
            let script = try runtime.script()
            for isCareful in [false, true] {
                let line = FirstStage.commandLine(script.firstStage(nonce: .random(), isCareful: isCareful))
                let limit = runtime == longest ? 700 : 600
                #expect(line.utf8.count <= limit, "\(line.utf8.count): \(line)")
                #expect(line.hasPrefix("exec sh -c '") && line.hasSuffix("'"))
                let inside = line.dropFirst("exec sh -c '".count).dropLast()
                #expect(!inside.contains("'") && !inside.contains("!") && !inside.contains("\n"))
                #expect(!inside.contains(#"\\"#))
            }
        }
    }

    @Test func `Names that a shell could take for more are refused`() {
        for name in ["", "-c", "a b", "$(x)", "a;b", "a'b", "~root/x", "`x`"] {
            #expect(throws: MartletError.self, "\(name)") { try PythonRuntime.python(name).script() }
        }
    }
}
