import Foundation
import MartletTestKit
import Testing

/// Who is asked for passwords, and where they do not show.
@Suite(.leakChecked, .enabled("needs root and namespaces") { await ThrowawayMachine.obstacle() == nil })
struct PasswordTests {
    /// A terminal with somebody who answers each of the questions as it comes; prints all that was to be seen.
    private static let person = """
        import os, pty, select, sys, time
        pairs = list(zip(sys.argv[1].split("|"), sys.argv[2].split("|")))
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.argv[3], sys.argv[3:])
        seen, asked, end = b"", 0, time.time() + 90
        while time.time() < end:
            if not select.select([terminal], [], [], 1)[0]: continue
            try: part = os.read(terminal, 4096)
            except OSError: break
            if not part: break
            seen += part
            if asked < len(pairs) and pairs[asked][0].encode() in seen:
                os.write(terminal, pairs[asked][1].encode() + b"\\n")
                asked += 1
        else:
            os.kill(pid, 9)
        sys.stdout.write(seen.decode(errors="replace").replace("\\r", ""))
        print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """

    private func answering(_ questions: String, _ answers: String, _ arguments: [String]) async throws -> String {
        try await runProgram(
            ["python3", "-c", Self.person, questions, answers, MartletProgram.path] + arguments,
            environment: ["XDG_CACHE_HOME": MartletProgram.cache, "TERM": "xterm", "NO_COLOR": "1"],
            within: .seconds(120)
        ).output
    }

    private func withMachine(_ body: (ThrowawayMachine) async throws -> Void) async throws {
        var configuration = ThrowawayMachine.Configuration()
        configuration.setup = """
            useradd -m -s /bin/bash joe 2>/dev/null
            echo 'joe:pw joe' | chpasswd -c SHA256 -s 1000
            printf '%s\\n' 'root ALL=(ALL:ALL) ALL' 'joe ALL=(ALL:ALL) ALL' 'Defaults lecture=never,!syslog' >/etc/sudoers
            rm -rf /etc/sudoers.d/*
            for file in /etc/pam.d/*; do sed -i 's/pam_unix.so/pam_unix.so nodelay/' "$file"; done
            """
        try await withThrowawayMachine(configuration, body)
    }

    @Test func `The sudo password is asked once, for all hosts, and shows nowhere`() async throws {
        try await withMachine { machine in
            let host = "nsenter:\(machine.pid)/local:joe"
            let text = try await answering(
                "sudo password:", "pw joe",
                ["run", "--no-prefix", "-K", "-H", "\(host),\(host)", "--sudo", "--", "id -un"])
            #expect(text.components(separatedBy: "sudo password:").count == 2, "\(text)")
            #expect(text.components(separatedBy: "root\n").count == 3, "\(text)")
            #expect(!text.contains("pw joe"))
            #expect(text.hasSuffix("status 0\n"), "\(text)")

            let wrong = try await answering(
                "sudo password:", "open sesame", ["run", "-K", "-H", host, "--sudo", "--", "id -un"])
            #expect(wrong.contains("was not accepted"), "\(wrong)")
            #expect(!wrong.contains("open sesame"))
            #expect(wrong.hasSuffix("status 3\n"), "\(wrong)")

            let asked = try await answering(
                "[sudo] password for joe:", "pw joe", ["run", "--ask", "-H", "\(host)/sudo", "--", "id -un"])
            #expect(asked.contains("root\n"), "\(asked)")
        }
    }

    @Test func `A file answers, or a program, or nobody`() async throws {
        try await withMachine { machine in
            let host = "nsenter:\(machine.pid)/local:joe/sudo"
            let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-password-\(getpid())").path
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            func file(_ name: String, _ text: String, _ mode: Int) throws -> String {
                let path = "\(folder)/\(name)"
                try text.write(toFile: path, atomically: true, encoding: .utf8)
                try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
                return path
            }
            let secret = try file("secret", "pw joe\n", 0o600)
            let byFile = try await MartletProgram.run([
                "run", "--no-prefix", "--sudo-password-file", secret, "-H", host, "--", "id -un",
            ])
            #expect(byFile.output == "root\n", "\(byFile.errors)")
            let program = try file("askpass", "#!/bin/sh\ncase $1 in *sudo*) echo 'pw joe' ;; esac\n", 0o700)
            let byProgram = try await MartletProgram.run([
                "run", "--no-prefix", "--askpass", program, "-H", host, "--", "id -un",
            ])
            #expect(byProgram.output == "root\n", "\(byProgram.errors)")
            let nobody = try await MartletProgram.run(["run", "-H", host, "--", "id -un"])
            #expect(nobody.exitCode == 3)
            #expect(nobody.errors.contains("--ask-sudo-pass"), "\(nobody.errors)")
        }
    }

    @Test func `Where there is no terminal the error says so`() async throws {
        try await withMachine { machine in
            let host = "nsenter:\(machine.pid)/local:joe/sudo"
            let result = try await MartletProgram.shell(
                #"setsid "$martlet" run -K -H '\#(host)' -- id -un </dev/null"#, within: .seconds(60))
            #expect(result.exitCode == 3)
            #expect(result.errors.contains("there is no terminal to ask on"), "\(result.errors)")
        }
    }
}
