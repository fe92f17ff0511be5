import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletPython

/// A way in through one of the shells that a user may have.
struct LoginShell: Connector, CustomStringConvertible {
    var path: String
    var label: String { "shell:\(path)" }
    var description: String { path }

    static let all = [
        "sh", "bash", "dash", "zsh", "fish", "tcsh", "csh", "mksh", "ksh93", "yash",
    ].map { "/usr/bin/\($0)" }.filter(FileManager.default.isExecutableFile).map(LoginShell.init)

    func launch(_ bootstrap: Bootstrap) -> Launch { .shell([path, "-c", bootstrap.line]) }
}

@Suite(.leakChecked) struct ConnectTests {
    private func makeProgram(_ path: String, _ script: String) throws {
        try script.write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }

    @Test func `A native context starts one on its machine, and ends it`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let context = try await martlet.connect(.local)
            let py = try await context.python()
            #expect(py.route.steps.suffix(2) == ["local", "local"])
            #expect(py.timings.bytesSent == PythonRuntime.byteCount)
            #expect(py.facts.hostname == context.facts.hostname)
            let parent: Int32 = try await py.call("os.getppid")
            #expect(parent == context.facts.processID)
            await py.close()
            await #expect(throws: MartletError.self) { try await py.call("len", "abc") }
            let again = try await context.python()
            #expect(try await again.call("len", "abc") == 3)
        }
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/sbin/sshd"), "needs openssh-server"))
    func `Over ssh no image is sent, and nothing is written`() async throws {
        try await withThrowawaySSHD { sshd in
            try await withMartlet(OutputLog().options) { martlet in
                let ssh = SSHConnector.ssh(sshd.hostAlias, configuration: sshd.configPath)
                let py = try await martlet.connect(ssh, runtime: .python)
                #expect(py.timings.bytesSent == PythonRuntime.byteCount)
                #expect(!FileManager.default.fileExists(atPath: "\(sshd.home)/.cache/martlet"))
                // It does not take what lies where the login begins for Python's own.
                #expect(try await py.call("eval", "'' in __import__('sys').path") == false)
                let title: String = try await py.call("platform.node")
                #expect(title == py.facts.hostname)
            }
        }
    }

    @Test(arguments: LoginShell.all)
    func `Every login shell hands the line to sh as it is`(shell: LoginShell) async throws {
        try await withMartlet(OutputLog().options) { martlet async throws in
            let py = try await martlet.connect(shell, runtime: .python)
            #expect(try await py.call("len", "abc") == 3)
        }
    }

    @Test func `Without an interpreter the error lists what was looked for`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let none = PythonRuntime(interpreters: ["no-such-python", "/nowhere/python"])
            let error = try await #require(throws: MartletError.self) {
                try await martlet.connect(.local, runtime: none)
            }
            #expect(error.code == .noInterpreter)
            #expect(error.detail?.contains("no-such-python: absent\n/nowhere/python: absent") == true)
        }
    }

    @Test func `An interpreter that does not work gives way to the next`() async throws {
        try await withFolder { folder in
            try makeProgram("\(folder)/python3", "#!/bin/sh\necho broken >&2\nexit 127\n")
            try await withMartlet(OutputLog().options) { martlet in
                let runtime = PythonRuntime(interpreters: ["\(folder)/python3", Interpreters.usual])
                let py = try await martlet.connect(.local, runtime: runtime)
                #expect(try await py.call("len", "abc") == 3)
                let error = try await #require(throws: MartletError.self) {
                    try await martlet.connect(.local, runtime: .python("\(folder)/python3"))
                }
                #expect(error.code == .noInterpreter)
                #expect(error.detail?.contains("broken") == true)
            }
        }
    }

    @Test func `Modules of the current directory stand in for nothing`() async throws {
        try await withFolder { folder in
            try "raise SystemExit('shadowed')".write(
                toFile: "\(folder)/threading.py", atomically: true, encoding: .utf8)
            try await withMartlet(OutputLog().options) { martlet in
                var local = LocalConnector.local
                local.options.directory = folder
                let py = try await martlet.connect(local, runtime: .python)
                #expect(try await py.call("os.getcwd") == URL(filePath: folder).resolvingSymlinksInPath().path)
            }
        }
    }
}

@Suite(.leakChecked) struct MachineTests {
    @Test(arguments: Interpreters.all)
    func `Its facts are those of a native context there, and ps shows whose it is`(interpreter: String) async throws {
        try await withMartlet(OutputLog().options) { martlet async throws in
            var native = try await martlet.connect(.local).facts
            let py = try await martlet.connect(.local, runtime: .python(interpreter))
            native.processID = py.facts.processID
            native.interpreter = py.facts.interpreter
            #expect(py.facts == native)
            #expect(try await py.status().uptime >= .zero)
            let title = try await py.run("cat /proc/\(py.facts.processID)/comm").text
            #expect(title.hasPrefix("martlet:"))
            let entry = try #require(ProcessTable.entry(of: py.facts.processID))
            #expect(entry.commandLine.count == 1 && entry.commandLine[0].hasPrefix("martlet:"))
            // What Python knows of itself is as it was.
            #expect(try await py.call("eval", "__import__('os').path.exists(__import__('sys').executable)"))
        }
    }

    @Test(arguments: Interpreters.all)
    func `Modules are found where Python always finds them`(interpreter: String) async throws {
        try await withPython(interpreter) { py async throws in
            let executable: String = try await py.call("eval", "__import__('sys').executable")
            let script = "import json, sys; print(json.dumps([p for p in sys.path if p]))"
            let alone = try await runProgram([executable, "-c", script], within: .seconds(60))
            let path: [String] = try await py.call("eval", "__import__('sys').path")
            let text: String = try await py.call("json.dumps", path)
            #expect(text + "\n" == alone.output)
        }
    }
}

@Suite(.leakChecked) struct EndTests {
    @Test(arguments: Interpreters.all)
    func `SIGTERM ends it in order also while its code waits for a channel`(interpreter: String) async throws {
        let log = OutputLog()
        try await withPython(interpreter, log.options) { py async throws in
            let waiting = py.exec("import sys\nsys.stdout.write('last words')\nchannel.send(1)\nchannel.receive()")
            #expect(try await waiting.receive() == 1)
            kill(py.facts.processID, SIGTERM)
            await #expect(throws: MartletError.self) { try await waiting.finished() }
            await eventually { ProcessTable.entry(of: py.facts.processID) == nil }
        }
        await eventually { log.texts() == ["last words"] }
    }

    @Test(arguments: [Interpreters.usual] + (Interpreters.old.map { [$0] } ?? []))
    func `A parent that stands still ends it also while its code writes`(interpreter: String) async throws {
        var options = OutputLog().options
        options.heartbeatLimit = .seconds(5)
        try await withMartlet(options) { martlet async throws in
            let parent = try await martlet.connect(.local)
            let py = try await parent.python(.python(interpreter))
            let marker = makeMarker()
            let flood = py.exec(
                """
                import subprocess
                subprocess.Popen(["sleep", "\(marker)"])
                channel.send(1)
                channel.receive()
                while True: channel.send(b"x" * 100000)
                """, receiving: PythonValue.self)
            #expect(try await flood.receive() == 1)
            let run = Task { try await py.run("yes \(marker)", onLine: { _ in }) }
            await eventually(within: .seconds(30)) { ProcessTable.carrying(marker).count >= 2 }
            kill(parent.facts.processID, SIGSTOP)
            try? await flood.send(1)
            await eventually(within: .seconds(60)) {
                ProcessTable.entry(of: py.facts.processID)?.isZombie != false && ProcessTable.carrying(marker).isEmpty
            }
            kill(parent.facts.processID, SIGKILL)
            await #expect(throws: (any Error).self) { try await run.value }
            await #expect(throws: (any Error).self) { try await flood.finished() }
        }
    }

    private func start(_ py: PythonContext, _ seconds: Int) async throws -> Int32 {
        let fragment = py.exec(
            "import subprocess\nchannel.send(subprocess.Popen(['sleep', '\(seconds)']).pid)", receiving: Int32.self)
        return try #require(try await fragment.receive())
    }

    @Test(arguments: Interpreters.all)
    func `What it started ends with it`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let child = try await start(py, 300)
            #expect(ProcessTable.entry(of: child) != nil)
            await py.close()
            await eventually { ProcessTable.entry(of: child) == nil }
            #expect(ProcessTable.entry(of: py.facts.processID) == nil)
        }
    }

    @Test(arguments: Interpreters.all)
    func `Code that never returns and ignores signals holds nobody up`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let fragment = py.exec(
                """
                import os, signal, subprocess
                child = subprocess.Popen(["sh", "-c", "trap '' TERM; echo; while :; do sleep 0.2; done"],
                    stdout=subprocess.PIPE)
                child.stdout.readline()
                channel.send(child.pid)
                while True: pass
                """, receiving: Int32.self)
            let child = try #require(try await fragment.receive())
            let pid = py.facts.processID
            await py.close(within: .seconds(20))
            await eventually { ProcessTable.entry(of: pid) == nil && ProcessTable.entry(of: child) == nil }
            await #expect(throws: (any Error).self) { try await fragment.finished() }
        }
    }

    @Test(arguments: Interpreters.all, [SIGTERM, SIGKILL])
    func `SIGTERM ends it in order, a kill at once; calls say that the context is lost`(
        interpreter: String, signal: Int32
    ) async throws {
        try await withPython(interpreter) { py in
            let pid = py.facts.processID
            // A signal ends the sleep in Python 2.
            let blocked = py.exec("import time\nchannel.send(1)\nwhile True: time.sleep(600)")
            #expect(try await blocked.receive() == 1)
            kill(pid, signal)
            let error = try await #require(throws: MartletError.self) { try await blocked.finished() }
            #expect(error.code == .contextLost)
            await eventually { ProcessTable.entry(of: pid) == nil }
            await #expect(throws: MartletError.self) { try await py.call("len", "abc") }
        }
    }
}
